#include "services/coordinator/store.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include <bit>
#include <cerrno>

#include "core/base/error.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr std::int64_t kSchemaVersion = 2;
constexpr long kLustreMagic = 0x0BD00BD0;
constexpr long kFuseMagic = 0x65735546;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, request_id TEXT NOT NULL, job BLOB NOT NULL,
  desired INTEGER NOT NULL, grace_seconds INTEGER NOT NULL, plan_digest TEXT NOT NULL,
  last_generation INTEGER NOT NULL, earlier_attempts INTEGER NOT NULL, best_step INTEGER NOT NULL,
  streak_reason TEXT NOT NULL, streak_step INTEGER NOT NULL, streak_same INTEGER NOT NULL,
  streak_any INTEGER NOT NULL, restart_cause TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS manifests (job_id TEXT PRIMARY KEY REFERENCES jobs, manifest BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS generations (
  job_id TEXT NOT NULL REFERENCES jobs, number INTEGER NOT NULL, open INTEGER NOT NULL,
  PRIMARY KEY (job_id, number)) STRICT;
CREATE TABLE IF NOT EXISTS members (
  job_id TEXT NOT NULL REFERENCES jobs, generation INTEGER NOT NULL, rank INTEGER NOT NULL,
  worker_id TEXT NOT NULL, incarnation TEXT NOT NULL, host TEXT NOT NULL, device TEXT NOT NULL,
  attempt INTEGER NOT NULL, PRIMARY KEY (job_id, generation, rank)) STRICT;
CREATE TABLE IF NOT EXISTS ledger (
  job_id TEXT NOT NULL REFERENCES jobs, sequence INTEGER NOT NULL, kind INTEGER NOT NULL,
  generation INTEGER NOT NULL, first_step INTEGER NOT NULL, last_step INTEGER NOT NULL,
  world_size INTEGER NOT NULL, plan_digest TEXT NOT NULL, hash_sum INTEGER NOT NULL, samples INTEGER NOT NULL,
  from_step INTEGER NOT NULL, to_step INTEGER NOT NULL, cause TEXT NOT NULL,
  skipped_samples TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, sequence)) STRICT;
)";

std::int64_t kind_number(LedgerRecord::Kind kind) { return static_cast<std::int64_t>(kind); }

std::filesystem::path prepared(const std::filesystem::path& state_dir) {
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + state_dir.string() + ": " + error.message());
  check_state_folder(state_dir);
  return state_dir / "coordinator.db";
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

Store::Store(const std::filesystem::path& state_dir) : database_(prepared(state_dir)) {
  database_.run("PRAGMA locking_mode=EXCLUSIVE");
  database_.run("PRAGMA journal_mode=WAL");
  database_.run("PRAGMA synchronous=FULL");
  database_.run("PRAGMA foreign_keys=ON");
  Transaction transaction(database_);
  database_.run(kSchema);
  database_.run("INSERT OR IGNORE INTO meta VALUES ('schema_version', " + std::to_string(kSchemaVersion) +
                "), ('epoch', 0)");
  std::int64_t version = database_.number("SELECT value FROM meta WHERE key = 'schema_version'");
  if (version == 1) {  // it did not name the samples of skipped steps
    database_.run("ALTER TABLE ledger ADD COLUMN skipped_samples TEXT NOT NULL DEFAULT ''");
    database_.run("UPDATE meta SET value = 2 WHERE key = 'schema_version'");
    version = 2;
  }
  if (version != kSchemaVersion)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + state_dir.string() + " has schema version " +
                                                    std::to_string(version) + "; this program knows " +
                                                    std::to_string(kSchemaVersion));
  database_.run("UPDATE meta SET value = value + 1 WHERE key = 'epoch'");
  epoch_ = database_.number("SELECT value FROM meta WHERE key = 'epoch'");
  transaction.commit();
}

std::vector<JobRecord> Store::load() {
  std::vector<JobRecord> records;
  Statement rows = database_.prepare(
      "SELECT id, job, request_id, desired, grace_seconds, plan_digest, last_generation, earlier_attempts, "
      "best_step, "
      "streak_reason, streak_step, streak_same, streak_any, restart_cause FROM jobs ORDER BY ordinal");
  while (rows.step()) {
    JobRecord& record = records.emplace_back();
    const std::string id = rows.text();
    if (!record.job.ParseFromString(rows.text()))
      throw Error(ErrorCode::kDataLoss, "the store holds a job that cannot be read: " + id);
    record.request_id = rows.text();
    record.desired.goal = rows.number() == 0 ? Desired::Goal::kRun : Desired::Goal::kCancel;
    record.desired.grace = std::chrono::seconds(rows.number());
    record.plan_digest = rows.text();
    record.last_generation = rows.number();
    record.earlier_attempts = static_cast<int>(rows.number());
    record.best_step = rows.number();
    record.streak.reason = rows.text();
    record.streak.best_step = rows.number();
    record.streak.same_reason = static_cast<int>(rows.number());
    record.streak.any_reason = static_cast<int>(rows.number());
    record.restart_cause = rows.text();
    if (is_final(record.state())) continue;
    load_generation(record);
    load_ledger_end(record);
  }
  return records;
}

void Store::load_generation(JobRecord& record) {
  Statement manifest = database_.prepare("SELECT manifest FROM manifests WHERE job_id = ?");
  manifest.bind(record.id());
  if (manifest.step() && !record.manifest.ParseFromString(manifest.text()))
    throw Error(ErrorCode::kDataLoss,
                "the store holds a manifest of job " + record.id() + " that cannot be read");
  Statement attempts = database_.prepare("SELECT rank, COUNT(*) FROM members WHERE job_id = ? GROUP BY rank");
  attempts.bind(record.id());
  while (attempts.step()) {
    const int rank = static_cast<int>(attempts.number());
    record.attempts[rank] = static_cast<int>(attempts.number());
  }
  Statement newest =
      database_.prepare("SELECT number, open FROM generations WHERE job_id = ? ORDER BY number DESC LIMIT 1");
  newest.bind(record.id());
  if (!newest.step()) return;
  Generation generation;
  generation.number = newest.number();
  generation.open = newest.number() != 0;
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
  record.generation = std::move(generation);
}

void Store::load_ledger_end(JobRecord& record) {
  Statement last = database_.prepare(
      "SELECT kind, last_step, to_step FROM ledger WHERE job_id = ? AND kind <> ? ORDER BY sequence DESC "
      "LIMIT 1");
  last.bind(record.id()).bind(kind_number(LedgerRecord::Kind::kSkipped));
  if (!last.step()) return;
  const bool range = last.number() == kind_number(LedgerRecord::Kind::kRange);
  const std::int64_t range_end = last.number();
  const std::int64_t target = last.number();
  Statement next = database_.prepare("SELECT MAX(sequence) + 1 FROM ledger WHERE job_id = ?");
  next.bind(record.id());
  next.step();
  record.ledger = LedgerWriter(true, range ? range_end : target, next.number());
}

void Store::save(const std::vector<const JobRecord*>& records) {
  Transaction transaction(database_);
  for (const JobRecord* record : records) {
    save_job(*record);
    if (record->manifest_unsaved) {
      Statement manifest = database_.prepare("INSERT OR REPLACE INTO manifests VALUES (?, ?)");
      manifest.bind(record->id()).bind_blob(record->manifest.SerializeAsString());
      manifest.execute();
    }
    if (record->generation_unsaved) save_generation(*record);
    save_ledger(*record);
  }
  transaction.commit();
}

void Store::save_job(const JobRecord& record) {
  Statement row = database_.prepare(
      "INSERT INTO jobs VALUES (?1, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM jobs), ?2, ?3, ?4, ?5, ?6, "
      "?7, ?8, ?9, "
      "?10, ?11, ?12, ?13, ?14) ON CONFLICT (id) DO UPDATE SET job = ?3, desired = ?4, grace_seconds = ?5, "
      "plan_digest = ?6, last_generation = ?7, earlier_attempts = ?8, best_step = ?9, streak_reason = ?10, "
      "streak_step = ?11, streak_same = ?12, streak_any = ?13, restart_cause = ?14");
  row.bind(record.id()).bind(record.request_id).bind_blob(record.job.SerializeAsString());
  row.bind(record.cancelling() ? 1 : 0).bind(record.desired.grace.count()).bind(record.plan_digest);
  row.bind(record.last_generation).bind(record.earlier_attempts).bind(record.best_step);
  row.bind(record.streak.reason).bind(record.streak.best_step).bind(record.streak.same_reason);
  row.bind(record.streak.any_reason).bind(record.restart_cause);
  row.execute();
}

void Store::save_generation(const JobRecord& record) {
  const Generation& generation = *record.generation;
  Statement row = database_.prepare("INSERT OR REPLACE INTO generations VALUES (?, ?, ?)");
  row.bind(record.id()).bind(generation.number).bind(generation.open ? 1 : 0);
  row.execute();
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
      database_.prepare("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const LedgerRecord& entry : record.ledger.pending()) {
    row.bind(record.id()).bind(entry.sequence).bind(kind_number(entry.kind)).bind(entry.generation);
    row.bind(entry.first_step).bind(entry.last_step).bind(entry.world_size).bind(entry.plan_digest);
    row.bind(std::bit_cast<std::int64_t>(entry.hash_sum)).bind(entry.samples).bind(entry.from).bind(entry.to);
    row.bind(entry.cause).bind(entry.skipped_samples);
    row.execute();
  }
}

std::vector<LedgerRecord> Store::ledger(const std::string& job_id) {
  std::vector<LedgerRecord> records;
  Statement rows = database_.prepare(
      "SELECT sequence, kind, generation, first_step, last_step, world_size, plan_digest, hash_sum, samples, "
      "from_step, to_step, cause, skipped_samples FROM ledger WHERE job_id = ? ORDER BY sequence");
  rows.bind(job_id);
  while (rows.step()) {
    LedgerRecord& record = records.emplace_back();
    record.sequence = rows.number();
    record.kind = static_cast<LedgerRecord::Kind>(rows.number());
    record.generation = rows.number();
    record.first_step = rows.number();
    record.last_step = rows.number();
    record.world_size = static_cast<std::int32_t>(rows.number());
    record.plan_digest = rows.text();
    record.hash_sum = std::bit_cast<std::uint64_t>(rows.number());
    record.samples = rows.number();
    record.from = rows.number();
    record.to = rows.number();
    record.cause = rows.text();
    record.skipped_samples = rows.text();
  }
  return records;
}

}  // namespace mdgen::coordinator
