// Many independent pieces of work that mostly wait for a file system.
#pragma once

#include <cstddef>
#include <functional>

namespace mdgen {

// Of `total` pieces, `done` are done. False: begin no more of them.
using ParallelProgress = std::function<bool(std::size_t done, std::size_t total)>;

// Calls work(0) … work(count - 1), each once, on at most `threads` threads of its own. `progress` (may be
// null) is called on the caller's thread a few times a second and at the end. Returns false when it stopped
// the work. What a piece throws ends the work and is thrown here.
bool parallel_for(std::size_t count, int threads, const std::function<void(std::size_t)>& work,
                  const ParallelProgress& progress = nullptr);

}  // namespace mdgen
