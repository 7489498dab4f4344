#include "services/trainer/rank.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/comm/collective.h"
#include "core/data/manifest_file.h"
#include "core/train/failure.h"
#include "core/train/loop.h"

namespace mdgen::trainer {

namespace {

constexpr int kManifestAttempts = 60;
constexpr std::chrono::milliseconds kManifestPause{500};

v1::Assignment with_manifest(v1::Assignment assignment) {
  if (!assignment.has_manifest())
    *assignment.mutable_manifest() = data::await_manifest(
        assignment.run_folder(), assignment.manifest_digest(), kManifestAttempts, kManifestPause,
        [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); });
  return assignment;
}

}  // namespace

v1::FinishReport run_rank(const v1::Assignment& given, train::RunObserver& observer,
                          const train::RunControl& control, const Exchange& exchange) {
  spdlog::info("one of {} of job {}, generation {}: {} with {} threads, process {}", given.world_size(),
               given.id().job_id(), given.id().generation(), given.device(), given.threads(), ::getpid());
  try {
    const v1::Assignment assignment = with_manifest(given);
    const at::Device device(assignment.device());
    if (device.is_cuda()) comm::load_cuda();
    const comm::CollectiveOptions options{.rank = assignment.rank(),
                                          .world_size = assignment.world_size(),
                                          .bind_address = assignment.bind_address(),
                                          .device = device,
                                          .backend = assignment.spec().backend()};
    const auto collective = comm::make_collective(options, exchange);
    const SystemClock clock;
    return train::run(assignment, *collective, device, observer, control, clock);
  } catch (const std::exception& error) {
    const train::FailureText failure = train::describe_failure(error);
    spdlog::error("{}: {}", failure.reason, failure.message);
    v1::FinishReport report;
    report.set_outcome(v1::OUTCOME_FAILED);
    report.set_reason(failure.reason);
    report.set_message("rank " + std::to_string(given.rank()) + ": " + to_utf8(failure.message));
    return report;
  }
}

}  // namespace mdgen::trainer
