// Store: what happened to jobs, and jobs that are forgotten.
#include "core/base/error.h"
#include "services/coordinator/store.h"

namespace mdgen::coordinator {

// Only the newest are kept.
void Store::save_events(const JobRecord& record) {
  if (record.events.pending().empty()) return;
  Statement row = database_.prepare("INSERT OR REPLACE INTO events VALUES (?, ?, ?)");
  for (const v1::JobEvent& event : record.events.pending()) {
    const std::string bytes = event.SerializeAsString();
    row.bind(record.id()).bind(event.sequence()).bind_blob(bytes);
    row.execute();
    check_.keep(event_name(record.id(), event.sequence()), bytes);
  }
  if (record.events.dropped() == 0) return;
  const std::int64_t first = record.events.pending().front().sequence() - JobEvents::kKept;
  for (std::int64_t sequence = first; sequence <= record.events.dropped(); ++sequence)
    check_.forget(event_name(record.id(), sequence));
  Statement old = database_.prepare("DELETE FROM events WHERE job_id = ? AND sequence <= ?");
  old.bind(record.id()).bind(record.events.dropped());
  old.execute();
}

std::vector<v1::JobEvent> Store::events(const std::string& job_id, std::int64_t after_sequence, int limit) {
  std::vector<v1::JobEvent> events;
  Statement rows = database_.prepare(
      "SELECT sequence, event FROM events WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?");
  rows.bind(job_id).bind(after_sequence).bind(limit);
  while (rows.step()) {
    const std::string name = event_name(job_id, rows.number());
    const std::string bytes = rows.text();
    check_.compare(name, bytes);
    if (!events.emplace_back().ParseFromString(bytes))
      throw Error(ErrorCode::kDataLoss, "the store holds an event that cannot be read: " + name);
  }
  return events;
}

void Store::forget(const std::vector<std::string>& job_ids) {
  Transaction transaction(database_);
  for (const std::string& id : job_ids) {
    check_.forget_job(id);
    for (const char* table : {"events", "ledger", "members", "generations", "manifests"}) {
      Statement rows = database_.prepare("DELETE FROM " + std::string(table) + " WHERE job_id = ?");
      rows.bind(id);
      rows.execute();
    }
    Statement job = database_.prepare("DELETE FROM jobs WHERE id = ?");
    job.bind(id);
    job.execute();
  }
  transaction.commit();
}

}  // namespace mdgen::coordinator
