#include "core/train/step_profiler.h"

#include <ATen/record_function.h>
#include <spdlog/spdlog.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <memory>
#include <set>
#include <utility>

namespace mdgen::train {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

// The range that is open, ended by the next one.
class Ranges {
 public:
  void operator()(std::optional<StepClock::Part> part) {
    open_.reset();
    if (!part) return;
    open_ = std::make_shared<at::RecordFunction>(at::RecordScope::USER_SCOPE);
    if (open_->isActive()) open_->before(part_name(*part));
  }

 private:
  std::shared_ptr<at::RecordFunction> open_;  // shared: a std::function copies what it holds
};

}  // namespace

StepProfiler::StepProfiler(std::filesystem::path file, std::int64_t steps, bool on_cuda, StepClock& clock)
    : file_(std::move(file)), left_(steps), on_cuda_(on_cuda), clock_(clock) {}

StepProfiler::~StepProfiler() { stop(); }

void StepProfiler::begin_step() {
  if (left_ > 0 && done_ > 0 && !active_) start();
}

void StepProfiler::end_step() {
  ++done_;
  if (active_ && --left_ == 0) stop();
}

void StepProfiler::start() {
  std::set<ActivityType> activities{ActivityType::CPU};
  if (on_cuda_) activities.insert(ActivityType::CUDA);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  try {
    profiler::prepareProfiler(config, activities);
    profiler::enableProfiler(config, activities);
  } catch (const std::exception& error) {
    spdlog::warn("no profile: {}", error.what());
    left_ = 0;
    return;
  }
  active_ = true;
  clock_.watch(Ranges());
}

void StepProfiler::stop() {
  if (!std::exchange(active_, false)) return;
  clock_.watch({});
  try {
    const std::unique_ptr<profiler::ProfilerResult> result = profiler::disableProfiler();
    std::filesystem::create_directories(file_.parent_path());
    result->save(file_.string());
    if (std::filesystem::exists(file_)) return spdlog::info("profile: {}", file_.string());
    spdlog::warn("profile {}: could not be written", file_.string());
  } catch (const std::exception& error) {
    spdlog::warn("profile {}: {}", file_.string(), error.what());
  }
}

}  // namespace mdgen::train
