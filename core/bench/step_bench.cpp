#include "core/bench/step_bench.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/process_memory.h"
#include "core/bench/statistics.h"
#include "core/bench/training.h"
#include "core/model/flops.h"
#include "core/model/model_config.h"
#include "core/train/gemm_ceiling.h"
#include "core/train/numerics.h"

namespace mdgen::bench {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCeilingProbe{500};

at::Device device_of(const std::string& name) {
  if (name == "cuda" && !torch::cuda::is_available()) {
    throw Error(ErrorCode::kFailedPrecondition, "--device cuda: this machine has no CUDA device");
  }
  return at::Device(name);
}

struct Measured {
  std::vector<double> seconds, data, forward, backward, all_reduce, optimizer;

  void add(double step, const v1::StepTimes& times) {
    seconds.push_back(step);
    data.push_back(times.data());
    forward.push_back(times.forward());
    backward.push_back(times.backward());
    all_reduce.push_back(times.reduce());
    optimizer.push_back(times.optimizer());
  }
  StepParts parts() const {
    return {median(data), median(forward), median(backward), median(all_reduce), median(optimizer)};
  }
};

}  // namespace

StepResult measure_step(const StepOptions& options, const v1::JobSpec& spec) {
  const at::Device device = device_of(options.device);
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  StepResult result{.options = options, .threads = options.threads > 0 ? options.threads : cores};
  train::configure_numerics(spec.optim().precision(), result.threads);
  const Job job(spec);
  Training training(spec, job, device);
  train::StepFeed feed(
      job.plan, job.dataset,
      {.threads = spec.data().num_workers(), .end = job.plan.total_steps(), .device = device});
  Measured measured;
  double tokens = 0;
  for (int i = 0; i < kWarmUpSteps + options.steps; ++i) {
    const auto begin = steady_clock::now();
    training.clock().begin();
    const train::StepWork work = feed.next();
    const train::StepOutcome outcome = training.step(work, feed);
    const double seconds = duration<double>(steady_clock::now() - begin).count();
    if (i < kWarmUpSteps) continue;
    measured.add(seconds, training.clock().times());
    tokens = static_cast<double>(outcome.report.tokens());
    result.loss = outcome.report.loss();
    result.flop = 0;
    for (const model::BatchShape& shape : work.shapes)
      result.flop += model::training_flops(model::model_config(spec), shape);
  }
  result.seconds = median(measured.seconds);
  result.seconds_min = *std::min_element(measured.seconds.begin(), measured.seconds.end());
  result.tokens_per_second = tokens / result.seconds;
  result.parts = measured.parts();
  result.peak_memory_bytes = peak_memory_bytes();
  result.gemm_ceiling = train::gemm_ceiling(train::product_type(training.state().precision()), device,
                                            kCeilingProbe, SystemClock());
  return result;
}

}  // namespace mdgen::bench
