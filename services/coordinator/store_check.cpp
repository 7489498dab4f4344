#include "services/coordinator/store_check.h"

#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"

namespace mdgen::coordinator {
namespace {

void add(std::string& bytes, const std::string& text) { bytes += std::to_string(text.size()) + ':' + text; }
void add(std::string& bytes, std::int64_t number) { bytes += std::to_string(number) + ';'; }

}  // namespace

void StoreCheck::damaged(const std::string& reason) const {
  throw Error(ErrorCode::kDataLoss, damage_text(file_, reason));
}

void StoreCheck::structure() {
  Statement check = database_.prepare("PRAGMA integrity_check(1)");
  const std::string found = check.step() ? check.text() : "no answer";
  if (found != "ok") damaged(found);
  const std::int64_t tables = database_.number(
      "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('meta', 'jobs', 'manifests', "
      "'generations', 'members', 'ledger')");
  if (tables != 6 && database_.number("SELECT COUNT(*) FROM sqlite_master") > 0)
    damaged(std::to_string(6 - tables) + " of its tables are missing");
}

void StoreCheck::keep(const std::string& what, const std::string& bytes) {
  Statement row = database_.prepare("INSERT OR REPLACE INTO digests VALUES (?, ?)");
  row.bind(what).bind(sha256_hex(bytes));
  row.execute();
}

void StoreCheck::compare(const std::string& what, const std::string& bytes) {
  Statement row = database_.prepare("SELECT sha256 FROM digests WHERE what = ?");
  row.bind(what);
  if (row.step() && row.text() != sha256_hex(bytes))
    damaged(what + " has another SHA-256 than when it was stored");
}

void StoreCheck::require_unknown(const std::string& what) {
  Statement row = database_.prepare("SELECT sha256 FROM digests WHERE what = ?");
  row.bind(what);
  if (row.step()) damaged(what + " is gone");
}

void StoreCheck::forget(const std::string& what) {
  Statement row = database_.prepare("DELETE FROM digests WHERE what = ?");
  row.bind(what);
  row.execute();
}

void StoreCheck::forget_job(const std::string& job_id) {
  for (const char* names : {"'event ' || sequence || ' of job ' || job_id FROM events",
                            "'record ' || sequence || ' of the ledger of job ' || job_id FROM ledger",
                            "'generation ' || number || ' of job ' || job_id FROM generations"}) {
    Statement rows = database_.prepare("DELETE FROM digests WHERE what IN (SELECT " + std::string(names) +
                                       " WHERE job_id = ?)");
    rows.bind(job_id);
    rows.execute();
  }
  forget(manifest_name(job_id));
  forget(job_name(job_id));
}

std::string row_bytes(const JobRecord& record, const std::string& job) {
  std::string bytes;
  add(bytes, job);
  add(bytes, record.request_id);
  add(bytes, record.plan_digest);
  add(bytes, record.restart_cause);
  add(bytes, static_cast<std::int64_t>(record.desired.goal));
  add(bytes, std::int64_t{record.desired.grace.count()});
  add(bytes, record.last_generation);
  add(bytes, record.earlier_attempts);
  add(bytes, record.best_step);
  add(bytes, record.streak.best_step);
  add(bytes, record.streak.failures);
  add(bytes, record.poison.step);
  add(bytes, record.poison.times);
  add(bytes, record.ordinal);
  add(bytes, dependencies_to_text(record.after));
  return bytes;
}

std::string row_bytes(const Generation& generation) {
  std::string bytes;
  add(bytes, generation.number);
  add(bytes, std::int64_t{generation.open});
  add(bytes, std::int64_t{generation.concluded});
  for (const Member& member : generation.members) {
    add(bytes, member.rank);
    for (const std::string* text : {&member.worker_id, &member.incarnation, &member.host, &member.device})
      add(bytes, *text);
    add(bytes, member.attempt);
  }
  return bytes;
}

std::string job_name(const std::string& job_id) { return "job " + job_id; }
std::string manifest_name(const std::string& job_id) { return "manifest of job " + job_id; }
std::string generation_name(const std::string& job_id, std::int64_t number) {
  return "generation " + std::to_string(number) + " of job " + job_id;
}
std::string event_name(const std::string& job_id, std::int64_t sequence) {
  return "event " + std::to_string(sequence) + " of job " + job_id;
}
std::string ledger_name(const std::string& job_id, std::int64_t sequence) {
  return "record " + std::to_string(sequence) + " of the ledger of job " + job_id;
}

}  // namespace mdgen::coordinator
