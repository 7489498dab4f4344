// AgentCore: faults on order.
#include <algorithm>
#include <chrono>
#include <csignal>

#include "core/base/log.h"
#include "services/worker/agent_core.h"
#include "services/worker/generation_id.h"

namespace mdgen::worker {
namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, 1e9) * 1000));
}

}  // namespace

void AgentCore::inject(const v1::InjectOrder& order) {
  if (!trainer_ || trainer_->dying() || !same(trainer_->assignment.id(), order.id())) {
    spdlog::warn("no fault injected: {} does not run here", describe(order.id()));
    return;
  }
  const v1::Fault& fault = order.fault();
  spdlog::error("injecting {} into rank {} of {} ({} s, {} steps)", v1::FaultKind_Name(fault.kind()),
                trainer_->assignment.rank(), describe(order.id()), fault.seconds(), fault.steps());
  v1::AgentOrder passed_on;
  *passed_on.mutable_inject() = order;
  switch (fault.kind()) {
    case v1::FAULT_KIND_KILL:
      actions_.push_back(SignalTrainer{SIGKILL});
      return;
    case v1::FAULT_KIND_HANG:
      actions_.push_back(SignalTrainer{SIGSTOP});
      if (fault.seconds() > 0) trainer_->continue_at = now_ + milliseconds(fault.seconds());
      return;
    case v1::FAULT_KIND_SLOW:
      return order_trainer(order.id(), std::move(passed_on));
    case v1::FAULT_KIND_PARTITION:
      order_trainer(order.id(), std::move(passed_on));
      cut_until_ = now_ + milliseconds(fault.seconds());
      actions_.push_back(CutLink{});
      return;
    case v1::FAULT_KIND_CORRUPT_CHECKPOINT:
      actions_.push_back(CorruptCheckpoint{trainer_->assignment.run_folder()});
      return;
    default:
      spdlog::warn("the fault {} is not known here", static_cast<int>(fault.kind()));
  }
}

}  // namespace mdgen::worker
