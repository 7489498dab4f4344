// Fault injection: a checkpoint that its disk has damaged.
#pragma once

#include <filesystem>
#include <optional>

namespace mdgen::worker {

// Flips one byte in the middle of the largest file of the newest checkpoint below a run folder, and logs
// which. Returns the file; nothing when there is no checkpoint or the file cannot be written, which is logged
// too.
std::optional<std::filesystem::path> corrupt_newest_checkpoint(const std::filesystem::path& run_folder);

}  // namespace mdgen::worker
