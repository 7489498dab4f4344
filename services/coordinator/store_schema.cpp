#include "services/coordinator/store_schema.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "mdgen/v1/job.pb.h"
#include "services/coordinator/job_events.h"

namespace mdgen::coordinator {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, request_id TEXT NOT NULL, job BLOB NOT NULL,
  desired INTEGER NOT NULL, grace_seconds INTEGER NOT NULL, plan_digest TEXT NOT NULL,
  last_generation INTEGER NOT NULL, earlier_attempts INTEGER NOT NULL, best_step INTEGER NOT NULL,
  streak_step INTEGER NOT NULL, streak_failures INTEGER NOT NULL, restart_cause TEXT NOT NULL,
  poison_step INTEGER NOT NULL DEFAULT -1, poison_times INTEGER NOT NULL DEFAULT 0,
  waits_for TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS manifests (job_id TEXT PRIMARY KEY REFERENCES jobs, manifest BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS generations (
  job_id TEXT NOT NULL REFERENCES jobs, number INTEGER NOT NULL, open INTEGER NOT NULL,
  concluded INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job_id, number)) STRICT;
CREATE TABLE IF NOT EXISTS members (
  job_id TEXT NOT NULL REFERENCES jobs, generation INTEGER NOT NULL, rank INTEGER NOT NULL,
  worker_id TEXT NOT NULL, incarnation TEXT NOT NULL, host TEXT NOT NULL, device TEXT NOT NULL,
  attempt INTEGER NOT NULL, PRIMARY KEY (job_id, generation, rank)) STRICT;
CREATE TABLE IF NOT EXISTS ledger (
  job_id TEXT NOT NULL REFERENCES jobs, sequence INTEGER NOT NULL, kind INTEGER NOT NULL,
  generation INTEGER NOT NULL, first_step INTEGER NOT NULL, last_step INTEGER NOT NULL,
  world_size INTEGER NOT NULL, plan_digest TEXT NOT NULL, hash_sum INTEGER NOT NULL, samples INTEGER NOT NULL,
  from_step INTEGER NOT NULL, to_step INTEGER NOT NULL, cause TEXT NOT NULL,
  skipped_samples TEXT NOT NULL DEFAULT '', bad_samples TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, sequence)) STRICT;
CREATE TABLE IF NOT EXISTS events (
  job_id TEXT NOT NULL REFERENCES jobs, sequence INTEGER NOT NULL, event BLOB NOT NULL,
  PRIMARY KEY (job_id, sequence)) STRICT;
CREATE TABLE IF NOT EXISTS digests (what TEXT PRIMARY KEY, sha256 TEXT NOT NULL) STRICT;
)";

// What a version's tables lack of the next one's.
const std::vector<std::vector<const char*>>& steps() {
  static const std::vector<std::vector<const char*>> steps = {
      // 1 did not name the samples of skipped steps.
      {"ALTER TABLE ledger ADD COLUMN skipped_samples TEXT NOT NULL DEFAULT ''"},
      // In 2 no sample could be left out.
      {"ALTER TABLE ledger ADD COLUMN bad_samples TEXT NOT NULL DEFAULT ''"},
      // In 3 survivors were killed, and a step could not be poison.
      {"ALTER TABLE jobs DROP COLUMN streak_reason", "ALTER TABLE jobs DROP COLUMN streak_same",
       "ALTER TABLE jobs RENAME COLUMN streak_any TO streak_failures",
       "ALTER TABLE jobs ADD COLUMN poison_step INTEGER NOT NULL DEFAULT -1",
       "ALTER TABLE jobs ADD COLUMN poison_times INTEGER NOT NULL DEFAULT 0",
       "ALTER TABLE generations ADD COLUMN concluded INTEGER NOT NULL DEFAULT 0"},
      // In 4 no job waited for another, and there were no events.
      {"ALTER TABLE jobs ADD COLUMN waits_for TEXT NOT NULL DEFAULT ''"},
  };
  return steps;
}

// Their transitions are the events of jobs from before there were any.
void make_events(Database& database) {
  std::vector<std::pair<std::string, std::string>> jobs;
  Statement rows = database.prepare("SELECT id, job FROM jobs");
  while (rows.step()) {
    std::string id = rows.text();
    jobs.emplace_back(std::move(id), rows.text());
  }
  Statement row = database.prepare("INSERT OR REPLACE INTO events VALUES (?, ?, ?)");
  for (const auto& [id, bytes] : jobs) {
    v1::Job job;
    if (!job.ParseFromString(bytes)) continue;  // load() says so
    JobEvents events;
    for (const v1::Transition& transition : job.transitions()) {
      v1::JobEvent event;
      *event.mutable_at() = transition.at();
      event.set_kind("State");
      event.set_reason(transition.reason());
      event.set_message(transition.message());
      event.set_state(transition.state());
      events.add(std::move(event));
    }
    for (const v1::JobEvent& event : events.pending()) {
      row.bind(id).bind(event.sequence()).bind_blob(event.SerializeAsString());
      row.execute();
    }
  }
}

}  // namespace

void bring_up_to_date(Database& database, StoreCheck& check, const std::filesystem::path& state_dir) {
  database.run(kSchema);
  database.run("INSERT OR IGNORE INTO meta VALUES ('schema_version', " + std::to_string(kSchemaVersion) +
               "), ('epoch', 0)");
  const std::int64_t found = database.number("SELECT value FROM meta WHERE key = 'schema_version'");
  if (found == kSchemaVersion) return;
  if (found < 1 || found > kSchemaVersion)
    throw Error(ErrorCode::kFailedPrecondition, "state_dir " + state_dir.string() + " has schema version " +
                                                    std::to_string(found) + "; this program knows " +
                                                    std::to_string(kSchemaVersion));
  check.forget_all();
  for (auto version = found; version < kSchemaVersion; ++version)
    for (const char* change : steps().at(static_cast<std::size_t>(version - 1))) database.run(change);
  if (found < 5) make_events(database);
  database.run("UPDATE meta SET value = " + std::to_string(kSchemaVersion) + " WHERE key = 'schema_version'");
}

}  // namespace mdgen::coordinator
