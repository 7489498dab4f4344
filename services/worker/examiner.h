// Examines a job's data set for the coordinator, where only workers mount the data.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "core/base/parallel.h"
#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// Reads checkpoint.ckpt's headers and examines the data sets. Throws Error.
v1::Preflight examine(const v1::JobSpec& resolved, const ParallelProgress& progress);

// The last report of an examination.
bool is_last(const v1::PreflightReport& report);

// One examination at a time, on a thread of its own: it may wait for a file system as long as that likes.
class Examiner {
 public:
  using Work = std::function<v1::Preflight(const v1::JobSpec&, const ParallelProgress&)>;
  // Called on the examination's thread: its progress, then what was found in parts of at most kPartBytes, or
  // that and why it failed.
  using Say = std::function<void(v1::PreflightReport)>;

  static constexpr std::size_t kPartBytes = 1 << 20;  // beats go between two parts

  Examiner(Work work, Say say) : work_(std::move(work)), say_(std::move(say)) {}
  ~Examiner();
  Examiner(const Examiner&) = delete;
  Examiner& operator=(const Examiner&) = delete;

  // Only after the last report of the one before.
  void start(const v1::PreflightTask& task);
  // Ends it soon; the last report then says Aborted, unless it was too late.
  void stop() { stopping_ = true; }

 private:
  void run(const v1::PreflightTask& task);

  Work work_;
  Say say_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mdgen::worker
