// What a backup becomes when it is restored. Pure functions.
//
// Agents, trainers and run folders have gone on since the backup was made: they have seen later epochs,
// generations and steps than it knows.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "services/coordinator/job_record.h"

namespace mdgen::coordinator {

// Above every epoch that agents may have seen: those of the coordinator that was backed up, which starts less
// often than once a millisecond, and those of earlier restorations of the same backup.
std::int64_t restored_epoch(std::int64_t epoch, std::chrono::system_clock::time_point made_at,
                            std::chrono::system_clock::time_point now);

// Generations of a restored job begin so far above the highest that the backup knows: what writes under a
// number between them is older.
inline constexpr std::int64_t kRestoredGenerations = 1000;

// A job that had trainers waits for workers again (or for its pause or cancel to be carried out); it goes on
// from the newest checkpoint of its run folder, which brings the ledger of the steps since the backup.
// Trainers of before are killed when their agents come back. True when the job had trainers. `when`: of the
// backup, for people.
bool restore_job(JobRecord& record, const std::string& when, std::chrono::system_clock::time_point now);

}  // namespace mdgen::coordinator
