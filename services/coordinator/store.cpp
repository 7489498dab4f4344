#include "services/coordinator/store.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include <bit>
#include <cerrno>

#include "core/base/error.h"
#include "core/ledger/json.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/store_schema.h"

namespace mdgen::coordinator {
namespace {

constexpr long kLustreMagic = 0x0BD00BD0;
constexpr long kFuseMagic = 0x65735546;

// What kinds are called in the table: START is 0.
std::int64_t kind_number(v1::LedgerKind kind) { return static_cast<std::int64_t>(kind) - 1; }
v1::LedgerKind kind_of(std::int64_t number) { return static_cast<v1::LedgerKind>(number + 1); }

using NamedSamples = google::protobuf::RepeatedPtrField<v1::NamedSample>;

std::string names_text(const v1::LedgerRecord& record, v1::LedgerKind kind) {
  if (record.kind() != kind) return "";
  return ledger::named_to_json(record.named()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

NamedSamples names_of(const std::string& skipped, const std::string& bad) {
  const std::string& text = skipped.empty() ? bad : skipped;
  return text.empty() ? NamedSamples() : ledger::named_from_json(nlohmann::ordered_json::parse(text));
}

std::filesystem::path prepared(const std::filesystem::path& state_dir) {
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + state_dir.string() + ": " + error.message());
  check_state_folder(state_dir);
  const std::filesystem::path file = state_dir / "coordinator.db";
  if (!std::filesystem::exists(file, error)) return file;
  // SQLite would take these for new ones, and throw the log away.
  constexpr std::uintmax_t kLeast = 512;
  const auto bytes = std::filesystem::file_size(file, error);
  const auto log = std::filesystem::file_size(file.string() + "-wal", error);
  if ((bytes > 0 && bytes < kLeast) || (bytes == 0 && !error && log > 0))
    throw Error(ErrorCode::kDataLoss, damage_text(file, "it has " + std::to_string(bytes) + " bytes"));
  return file;
}

}  // namespace

const char* untrusted_file_system(long magic) {
  switch (magic) {
    case NFS_SUPER_MAGIC:
      return "NFS";
    case kLustreMagic:
      return "Lustre";
    case kFuseMagic:
      return "FUSE";
    default:
      return nullptr;
  }
}

void check_state_folder(const std::filesystem::path& folder) {
  struct statfs facts {};
  if (::statfs(folder.c_str(), &facts) != 0)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + folder.string() + ": " + ::strerror(errno));
  const char* kind = untrusted_file_system(facts.f_type);
  if (kind != nullptr)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + folder.string() + " lies on " + kind +
                                                    ", whose locks cannot be trusted: choose a local disk");
}

Store::Store(const std::filesystem::path& state_dir)
    : file_(prepared(state_dir)), database_(file_), check_(database_, file_) {
  database_.run("PRAGMA locking_mode=EXCLUSIVE");
  database_.run("PRAGMA journal_mode=WAL");
  database_.run("PRAGMA synchronous=FULL");
  database_.run("PRAGMA foreign_keys=ON");
  check_.structure();
  Transaction transaction(database_);
  bring_up_to_date(database_, check_, state_dir);
  database_.run("UPDATE meta SET value = value + 1 WHERE key = 'epoch'");
  epoch_ = database_.number("SELECT value FROM meta WHERE key = 'epoch'");
  transaction.commit();
}

std::vector<JobRecord> Store::load() {
  std::vector<JobRecord> records;
  Statement rows = database_.prepare(
      "SELECT id, job, request_id, desired, grace_seconds, plan_digest, last_generation, earlier_attempts, "
      "best_step, streak_step, streak_failures, restart_cause, poison_step, poison_times, waits_for, "
      "ordinal, "
      "(SELECT COALESCE(MAX(sequence), 0) FROM events WHERE job_id = id) FROM jobs ORDER BY ordinal");
  while (rows.step()) {
    JobRecord& record = records.emplace_back();
    const std::string id = rows.text();
    const std::string job = rows.text();
    if (!record.job.ParseFromString(job))
      throw Error(ErrorCode::kDataLoss, "the store holds a job that cannot be read: " + id);
    record.request_id = rows.text();
    record.desired.goal = static_cast<Desired::Goal>(rows.number());
    record.desired.grace = std::chrono::seconds(rows.number());
    record.plan_digest = rows.text();
    record.last_generation = rows.number();
    record.earlier_attempts = static_cast<int>(rows.number());
    record.best_step = rows.number();
    record.streak.best_step = rows.number();
    record.streak.failures = static_cast<int>(rows.number());
    record.restart_cause = rows.text();
    record.poison.step = rows.number();
    record.poison.times = static_cast<int>(rows.number());
    record.after = dependencies_from_text(rows.text());
    record.ordinal = rows.number();
    record.events = JobEvents(rows.number());
    if (id != record.id()) check_.damaged("the row of job " + record.id() + " is named " + id);
    check_.compare(job_name(id), row_bytes(record, job));
    if (is_final(record.state())) continue;
    load_generation(record);
    record.ledger = ledger::Writer(ledger::position_of(ledger(id, 0, -1)));
    check_.require_unknown(ledger_name(id, record.ledger.next_sequence()));
  }
  return records;
}

void Store::load_generation(JobRecord& record) {
  record.manifest = manifest(record.id());
  Statement attempts =
      database_.prepare("SELECT rank, MAX(attempt) FROM members WHERE job_id = ? GROUP BY rank");
  attempts.bind(record.id());
  while (attempts.step()) {
    const int rank = static_cast<int>(attempts.number());
    record.attempts[rank] = static_cast<int>(attempts.number()) - record.earlier_attempts;
  }
  Statement newest = database_.prepare(
      "SELECT number, open, concluded FROM generations WHERE job_id = ? ORDER BY number DESC LIMIT 1");
  newest.bind(record.id());
  if (!newest.step()) return check_.require_unknown(generation_name(record.id(), record.last_generation));
  Generation generation;
  generation.number = newest.number();
  generation.open = newest.number() != 0;
  generation.concluded = newest.number() != 0;
  Statement members = database_.prepare(
      "SELECT rank, worker_id, incarnation, host, device, attempt FROM members WHERE job_id = ? AND "
      "generation = ? "
      "ORDER BY rank");
  members.bind(record.id()).bind(generation.number);
  while (members.step()) {
    Member& member = generation.members.emplace_back();
    member.rank = static_cast<int>(members.number());
    member.worker_id = members.text();
    member.incarnation = members.text();
    member.host = members.text();
    member.device = members.text();
    member.attempt = static_cast<int>(members.number());
  }
  check_.compare(generation_name(record.id(), generation.number), row_bytes(generation));
  record.generation = std::move(generation);
}

void Store::save(const std::vector<const JobRecord*>& records) {
  Transaction transaction(database_);
  for (const JobRecord* record : records) {
    save_job(*record);
    if (record->manifest_unsaved) {
      Statement manifest = database_.prepare("INSERT OR REPLACE INTO manifests VALUES (?, ?)");
      const std::string bytes = record->manifest.SerializeAsString();
      manifest.bind(record->id()).bind_blob(bytes);
      manifest.execute();
      check_.keep(manifest_name(record->id()), bytes);
    }
    if (record->generation_unsaved) save_generation(*record);
    save_ledger(*record);
    save_events(*record);
  }
  transaction.commit();
}

void Store::save_job(const JobRecord& record) {
  Statement row = database_.prepare(
      "INSERT INTO jobs VALUES (?1, ?15, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?16) ON "
      "CONFLICT (id) DO UPDATE SET job = ?3, desired = ?4, "
      "grace_seconds = ?5, plan_digest = ?6, last_generation = ?7, earlier_attempts = ?8, best_step = ?9, "
      "streak_step = ?10, streak_failures = ?11, restart_cause = ?12, poison_step = ?13, poison_times = ?14, "
      "waits_for = ?16");
  const std::string job = record.job.SerializeAsString();
  row.bind(record.id()).bind(record.request_id).bind_blob(job);
  row.bind(static_cast<std::int64_t>(record.desired.goal))
      .bind(record.desired.grace.count())
      .bind(record.plan_digest);
  row.bind(record.last_generation).bind(record.earlier_attempts).bind(record.best_step);
  row.bind(record.streak.best_step).bind(record.streak.failures).bind(record.restart_cause);
  row.bind(record.poison.step).bind(record.poison.times);
  row.bind(record.ordinal).bind(dependencies_to_text(record.after));
  row.execute();
  check_.keep(job_name(record.id()), row_bytes(record, job));
}

void Store::save_generation(const JobRecord& record) {
  const Generation& generation = *record.generation;
  Statement row = database_.prepare("INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?)");
  row.bind(record.id()).bind(generation.number).bind(generation.open ? 1 : 0);
  row.bind(generation.concluded ? 1 : 0);
  row.execute();
  check_.keep(generation_name(record.id(), generation.number), row_bytes(generation));
  Statement stored = database_.prepare("SELECT COUNT(*) FROM members WHERE job_id = ? AND generation = ?");
  stored.bind(record.id()).bind(generation.number);
  if (stored.step() && stored.number() == static_cast<std::int64_t>(generation.members.size())) return;
  Statement each = database_.prepare("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  for (const Member& member : generation.members) {
    each.bind(record.id()).bind(generation.number).bind(member.rank).bind(member.worker_id);
    each.bind(member.incarnation).bind(member.host).bind(member.device).bind(member.attempt);
    each.execute();
  }
}

void Store::save_ledger(const JobRecord& record) {
  if (record.ledger.pending().empty()) return;
  Statement row =
      database_.prepare("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const v1::LedgerRecord& entry : record.ledger.pending()) {
    row.bind(record.id()).bind(entry.sequence()).bind(kind_number(entry.kind())).bind(entry.generation());
    row.bind(entry.first_step()).bind(entry.last_step()).bind(entry.world_size()).bind(entry.plan_digest());
    row.bind(std::bit_cast<std::int64_t>(entry.hash_sum())).bind(entry.samples());
    row.bind(entry.from()).bind(entry.to()).bind(entry.cause());
    row.bind(names_text(entry, v1::LEDGER_KIND_SKIPPED)).bind(names_text(entry, v1::LEDGER_KIND_BAD_SAMPLES));
    row.execute();
    check_.keep(ledger_name(record.id(), entry.sequence()), entry.SerializeAsString());
  }
}

ledger::Records Store::ledger(const std::string& job_id, std::int64_t first_sequence, int limit) {
  ledger::Records records;
  Statement rows = database_.prepare(
      "SELECT sequence, kind, generation, first_step, last_step, world_size, plan_digest, hash_sum, samples, "
      "from_step, to_step, cause, skipped_samples, bad_samples FROM ledger WHERE job_id = ? AND sequence >= "
      "? "
      "ORDER BY sequence LIMIT ?");
  rows.bind(job_id).bind(first_sequence).bind(limit);
  while (rows.step()) {
    v1::LedgerRecord& record = records.emplace_back();
    record.set_sequence(rows.number());
    record.set_kind(kind_of(rows.number()));
    record.set_generation(rows.number());
    record.set_first_step(rows.number());
    record.set_last_step(rows.number());
    record.set_world_size(static_cast<std::int32_t>(rows.number()));
    record.set_plan_digest(rows.text());
    record.set_hash_sum(std::bit_cast<std::uint64_t>(rows.number()));
    record.set_samples(rows.number());
    record.set_from(rows.number());
    record.set_to(rows.number());
    record.set_cause(rows.text());
    const std::string skipped = rows.text();
    *record.mutable_named() = names_of(skipped, rows.text());
    check_.compare(ledger_name(job_id, record.sequence()), record.SerializeAsString());
  }
  return records;
}

v1::JobManifest Store::manifest(const std::string& job_id) {
  v1::JobManifest manifest;
  Statement row = database_.prepare("SELECT manifest FROM manifests WHERE job_id = ?");
  row.bind(job_id);
  if (!row.step()) {
    check_.require_unknown(manifest_name(job_id));
    return manifest;
  }
  const std::string bytes = row.text();
  check_.compare(manifest_name(job_id), bytes);
  if (!manifest.ParseFromString(bytes))
    throw Error(ErrorCode::kDataLoss, "the store holds a manifest of job " + job_id + " that cannot be read");
  return manifest;
}

}  // namespace mdgen::coordinator
