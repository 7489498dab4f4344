// AgentCore: how it leaves.
#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "services/worker/agent_core.h"
#include "services/worker/generation_id.h"

namespace mdgen::worker {

void AgentCore::on(const StopRequested& event) {
  if (leaving_) return;
  if (event.at_once || draining_) return begin_leaving(0, event.reason);
  drain(event.reason);
}

void AgentCore::drain(const std::string& reason) {
  draining_ = Drain{reason, now_ + config_.drain_timeout};
  if (pending_) report_never_started(std::exchange(pending_, std::nullopt)->assignment);
  if (!trainer_) return begin_leaving(0, reason);
  spdlog::info("{}: leaves when its trainer has checkpointed and left", reason);
  if (link_ == Link::kUp) send_draining();
  drain_trainer();
}

// The trainer's vote makes all ranks write a checkpoint and leave at one boundary. One that has left without
// it writes what it holds: nobody here knows whether another rank holds it too.
void AgentCore::drain_trainer() {
  if (trainer_->dying()) return;
  if (!trainer_->greeted) return begin_leaving(0, draining_->reason);
  const auto& left = trainer_->left;
  const bool saved = left && (left->checkpointed() || !left->resident() || left->applied() == 0);
  if (saved) return begin_leaving(0, draining_->reason);
  v1::AgentOrder order;
  order.mutable_stop()->set_checkpoint(true);
  order.mutable_stop()->set_yield(!left);
  actions_.push_back(Tell{std::move(order)});
}

void AgentCore::send_draining() {
  const auto time_left =
      std::chrono::duration_cast<std::chrono::milliseconds>(draining_->deadline - now_).count();
  v1::AgentMessage message;
  message.mutable_draining()->set_reason(draining_->reason);
  message.mutable_draining()->set_deadline_ms(std::max<std::int64_t>(time_left, 0));
  actions_.push_back(Send{std::move(message)});
}

void AgentCore::begin_leaving(int status, const std::string& reason) {
  leaving_ = status;
  leave_deadline_ = now_ + config_.leave_wait;
  pending_.reset();
  abandon_examination();
  if (link_ == Link::kUp) {
    v1::AgentMessage message;
    message.mutable_goodbye()->set_reason(reason);
    actions_.push_back(Send{std::move(message)});
  }
  kill_trainer();
  if (!trainer_) actions_.push_back(Leave{status});
}

}  // namespace mdgen::worker
