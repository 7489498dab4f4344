#include "services/worker/agent_core.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "core/base/log.h"
#include "services/worker/generation_id.h"

namespace mdgen::worker {

AgentCore::AgentCore(Config config, Clock::Steady now)
    : config_(config),
      now_(now),
      next_attempt_(now),
      pause_(config.first_pause),
      contact_deadline_(now + config.connect_timeout),
      next_beat_(now),
      leave_deadline_(now) {}

std::vector<Action> AgentCore::handle(const Event& event, Clock::Steady now) {
  const auto since = now - std::exchange(now_, now);
  if (trainer_ && since > config_.beat_interval + config_.own_pause) trainer_->heard_at += since;
  std::visit([this](const auto& one) { on(one); }, event);
  return std::exchange(actions_, {});
}

Clock::Steady AgentCore::wake_at() const {
  if (leaving_) return leave_deadline_;
  auto at = now_ + config_.beat_interval;
  if (link_ == Link::kDown) at = std::min(at, next_attempt_);
  if (link_ == Link::kUp) at = std::min(at, next_beat_);
  if (contact_deadline_) at = std::min(at, *contact_deadline_);
  if (draining_) at = std::min(at, draining_->deadline);
  if (trainer_ && trainer_->deadline) at = std::min(at, *trainer_->deadline);
  if (trainer_ && trainer_->continue_at) at = std::min(at, *trainer_->continue_at);
  return at;
}

void AgentCore::on(const Tick&) {
  if (leaving_) {
    if (!trainer_ || now_ >= leave_deadline_) actions_.push_back(Leave{*leaving_});
    return;
  }
  if (draining_ && now_ >= draining_->deadline) {
    spdlog::warn("the trainer has not left in time");
    return begin_leaving(0, draining_->reason);
  }
  if (contact_deadline_ && now_ >= *contact_deadline_) {
    const auto waited = ever_registered_ ? config_.give_up_after : config_.connect_timeout;
    spdlog::error("the coordinator at {} has not taken this agent in within {} s", config_.coordinator,
                  std::chrono::duration<double>(waited).count());
    return begin_leaving(draining_ ? 0 : 1, "no coordinator");
  }
  if (link_ == Link::kDown && now_ >= next_attempt_) open_link();
  if (link_ == Link::kUp && now_ >= next_beat_) beat();
  if (trainer_ && trainer_->continue_at && now_ >= *trainer_->continue_at) {
    trainer_->continue_at.reset();
    actions_.push_back(SignalTrainer{SIGCONT});
  }
  if (trainer_ && trainer_->deadline && now_ >= *trainer_->deadline) {
    if (trainer_->exit) return trainer_gone();
    spdlog::warn("the trainer of {} has said its last word but does not leave",
                 describe(trainer_->assignment.id()));
    kill_trainer();
  }
}

void AgentCore::open_link() {
  OpenLink open;
  beats_.registering(config_.boot_time());
  open.new_incarnation = std::exchange(new_incarnation_, false);
  if (trainer_ && !trainer_->dying()) open.running.push_back(trainer_->assignment.id());
  cut_until_.reset();
  link_ = Link::kConnecting;
  actions_.push_back(std::move(open));
}

void AgentCore::beat() {
  v1::AgentMessage message;
  *message.mutable_beat() = trainer_ ? trainer_->beat : v1::Beat();
  if (trainer_ && trainer_->greeted) {
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - trainer_->heard_at);
    message.mutable_beat()->set_trainer_silent_ms(silent.count());
  }
  message.mutable_beat()->set_number(beats_.sent(config_.boot_time()));
  actions_.push_back(Send{std::move(message)});
  next_beat_ = now_ + config_.beat_interval;
}

void AgentCore::on(const LinkDown& event) {
  const bool was_up = std::exchange(link_, Link::kDown) == Link::kUp;
  abandon_examination();
  if (leaving_) return;
  if (was_up) {
    spdlog::warn("lost the coordinator: {}", event.message);
    pause_ = config_.first_pause;
    if (config_.give_up_after.count() > 0) contact_deadline_ = now_ + config_.give_up_after;
  }
  next_attempt_ = std::max(now_ + pause_, cut_until_.value_or(now_));
  pause_ = std::min(pause_ * 2, config_.last_pause);
  if (event.loss == LinkLoss::kSuperseded) {
    spdlog::warn("the coordinator has given this agent up ({}): starting over", event.message);
    pending_.reset();
    kill_trainer();
    new_incarnation_ = true;
  } else if (event.loss == LinkLoss::kRefused && !ever_registered_) {
    spdlog::error("the coordinator refuses this agent: {}", event.message);
    begin_leaving(1, event.message);
  }
}

void AgentCore::on(const Ordered& event) {
  const v1::CoordinatorMessage& message = event.message;
  if (leaving_) return;
  switch (message.message_case()) {
    case v1::CoordinatorMessage::kWelcome:
      return welcome(message.welcome());
    case v1::CoordinatorMessage::kStart:
      return start(message.start(), message.beat());
    case v1::CoordinatorMessage::kAbandon:
      return abandon(message.abandon());
    case v1::CoordinatorMessage::kStop:
      return stop(message.stop());
    case v1::CoordinatorMessage::kLease:
      return renew(message.lease(), message.beat());
    case v1::CoordinatorMessage::kInject:
      return inject(message.inject());
    case v1::CoordinatorMessage::kExamine:
      return examine(message.examine());
    case v1::CoordinatorMessage::kStopExamination:
      return stop_examination(message.stop_examination());
    case v1::CoordinatorMessage::kShutdown:
      spdlog::info("dismissed: {}", message.shutdown().reason());
      return begin_leaving(0, "dismissed");
    case v1::CoordinatorMessage::kDrain:
      if (!draining_) drain(message.drain().reason());
      return;
    case v1::CoordinatorMessage::kStored:  // the link's own
    case v1::CoordinatorMessage::kTaken:
    case v1::CoordinatorMessage::MESSAGE_NOT_SET:
      return;
  }
}

void AgentCore::welcome(const v1::Welcome& welcome) {
  if (welcome.epoch() < epoch_) {
    spdlog::error("refused a coordinator of epoch {}: epoch {} has been seen", welcome.epoch(), epoch_);
    actions_.push_back(AbandonLink{});
    return;
  }
  epoch_ = welcome.epoch();
  link_ = Link::kUp;
  contact_deadline_.reset();
  pause_ = config_.first_pause;
  next_beat_ = now_ + config_.beat_interval;
  spdlog::info("registered as {} (epoch {})", welcome.worker_id(), epoch_);
  const bool first = !std::exchange(ever_registered_, true);
  actions_.push_back(LinkUp{welcome.worker_id(), first});
  if (first) return;
  if (trainer_ && trainer_->left) report_left(*trainer_->left);
  if (draining_) send_draining();
}

void AgentCore::report(const v1::Assignment& assignment, v1::TrainerEvent event) {
  *event.mutable_id() = assignment.id();
  event.set_rank(assignment.rank());
  if (event.has_exited()) last_exit_ = event;
  v1::AgentMessage message;
  *message.mutable_trainer() = std::move(event);
  actions_.push_back(Send{std::move(message)});
}

}  // namespace mdgen::worker
