#include "services/trainer/rank.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/comm/collective.h"
#include "core/train/failure.h"
#include "core/train/loop.h"

namespace mdgen::trainer {

v1::FinishReport run_rank(const v1::Assignment& assignment, train::RunObserver& observer,
                          const train::RunControl& control, const Exchange& exchange) {
  spdlog::info("one of {} of job {}, generation {}: {} with {} threads, process {}", assignment.world_size(),
               assignment.id().job_id(), assignment.id().generation(), assignment.device(),
               assignment.threads(), ::getpid());
  try {
    const at::Device device(assignment.device());
    if (device.is_cuda()) comm::load_cuda();
    const comm::CollectiveOptions options{.rank = assignment.rank(),
                                          .world_size = assignment.world_size(),
                                          .bind_address = assignment.bind_address(),
                                          .device = device};
    const auto collective = comm::make_collective(options, exchange);
    const SystemClock clock;
    return train::run(assignment, *collective, device, observer, control, clock);
  } catch (const std::exception& error) {
    const train::FailureText failure = train::describe_failure(error);
    spdlog::error("{}: {}", failure.reason, failure.message);
    v1::FinishReport report;
    report.set_outcome(v1::OUTCOME_FAILED);
    report.set_reason(failure.reason);
    report.set_message("rank " + std::to_string(assignment.rank()) + ": " + to_utf8(failure.message));
    return report;
  }
}

}  // namespace mdgen::trainer
