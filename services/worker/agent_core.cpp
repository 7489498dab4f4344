#include "services/worker/agent_core.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "core/base/log.h"

namespace mdgen::worker {
namespace {

bool same(const v1::GenerationId& a, const v1::GenerationId& b) {
  return a.job_id() == b.job_id() && a.generation() == b.generation();
}

std::string describe(const v1::GenerationId& id) {
  return id.job_id() + " generation " + std::to_string(id.generation());
}

}  // namespace

AgentCore::AgentCore(Config config, Clock::Steady now)
    : config_(config),
      now_(now),
      next_attempt_(now),
      pause_(config.first_pause),
      contact_deadline_(now + config.connect_timeout),
      next_beat_(now),
      leave_deadline_(now) {}

std::vector<Action> AgentCore::handle(const Event& event, Clock::Steady now) {
  now_ = now;
  std::visit([this](const auto& one) { on(one); }, event);
  return std::exchange(actions_, {});
}

Clock::Steady AgentCore::wake_at() const {
  if (leaving_) return leave_deadline_;
  auto at = now_ + config_.beat_interval;
  if (link_ == Link::kDown) at = std::min(at, next_attempt_);
  if (link_ == Link::kUp) at = std::min(at, next_beat_);
  if (contact_deadline_) at = std::min(at, *contact_deadline_);
  if (trainer_ && trainer_->deadline) at = std::min(at, *trainer_->deadline);
  return at;
}

void AgentCore::on(const Tick&) {
  if (leaving_) {
    if (!trainer_ || now_ >= leave_deadline_) actions_.push_back(Leave{*leaving_});
    return;
  }
  if (contact_deadline_ && now_ >= *contact_deadline_) {
    const auto waited = ever_registered_ ? config_.give_up_after : config_.connect_timeout;
    spdlog::error("the coordinator at {} has not taken this agent in within {} s", config_.coordinator,
                  std::chrono::duration<double>(waited).count());
    return begin_leaving(1, "no coordinator");
  }
  if (link_ == Link::kDown && now_ >= next_attempt_) {
    OpenLink open;
    open.new_incarnation = std::exchange(new_incarnation_, false);
    if (trainer_ && !trainer_->exit && !trainer_->killed) open.running.push_back(trainer_->assignment.id());
    link_ = Link::kConnecting;
    actions_.push_back(std::move(open));
  }
  if (link_ == Link::kUp && now_ >= next_beat_) {
    v1::AgentMessage message;
    *message.mutable_beat() = trainer_ ? trainer_->beat : v1::Beat();
    actions_.push_back(Send{std::move(message)});
    next_beat_ = now_ + config_.beat_interval;
  }
  if (trainer_ && trainer_->deadline && now_ >= *trainer_->deadline) {
    if (trainer_->exit) return trainer_gone();
    spdlog::warn("the trainer of {} has said its last word but does not leave",
                 describe(trainer_->assignment.id()));
    kill_trainer();
  }
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
  next_attempt_ = now_ + pause_;
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
      return assign(message.start());
    case v1::CoordinatorMessage::kStop:
      return stop(message.stop());
    case v1::CoordinatorMessage::kLease: {
      v1::AgentOrder order;
      *order.mutable_lease() = message.lease().lease();
      return order_trainer(message.lease().id(), std::move(order));
    }
    case v1::CoordinatorMessage::kExamine:
      return examine(message.examine());
    case v1::CoordinatorMessage::kStopExamination:
      return stop_examination(message.stop_examination());
    case v1::CoordinatorMessage::kShutdown:
      spdlog::info("dismissed: {}", message.shutdown().reason());
      return begin_leaving(0, "dismissed");
    case v1::CoordinatorMessage::kStored:  // the link's own
    case v1::CoordinatorMessage::kTaken:
    case v1::CoordinatorMessage::kAbandon:
    case v1::CoordinatorMessage::kInject:
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
  actions_.push_back(LinkUp{welcome.worker_id(), !std::exchange(ever_registered_, true)});
}

void AgentCore::assign(const v1::Assignment& assignment) {
  const v1::GenerationId& id = assignment.id();
  const v1::Assignment* current = pending_ ? &*pending_ : trainer_ ? &trainer_->assignment : nullptr;
  if (current != nullptr && current->id().job_id() == id.job_id()) {
    if (id.generation() < current->id().generation()) {
      spdlog::warn("ignored an assignment of {}: {} is newer", describe(id), describe(current->id()));
      return;
    }
    if (same(id, current->id())) return;
  }
  if (!trainer_) return spawn(assignment);
  pending_ = assignment;
  kill_trainer();
}

void AgentCore::stop(const v1::Stop& stop) {
  if (!stop.kill()) {
    v1::AgentOrder order;
    *order.mutable_stop() = stop.order();
    return order_trainer(stop.id(), std::move(order));
  }
  if (pending_ && same(pending_->id(), stop.id())) {
    v1::TrainerEvent event;
    event.mutable_exited()->set_signal(SIGKILL);
    const v1::Assignment never_started = *std::exchange(pending_, std::nullopt);
    return report(never_started, std::move(event));
  }
  if (trainer_ && same(trainer_->assignment.id(), stop.id())) return kill_trainer();
  if (last_exit_ && same(last_exit_->id(), stop.id())) {
    v1::AgentMessage again;
    *again.mutable_trainer() = *last_exit_;
    actions_.push_back(Send{std::move(again)});
  }
}

void AgentCore::order_trainer(const v1::GenerationId& id, v1::AgentOrder order) {
  if (!trainer_ || trainer_->exit || !same(trainer_->assignment.id(), id)) return;
  if (trainer_->greeted) {
    actions_.push_back(Tell{std::move(order)});
  } else {
    trainer_->held_orders.push_back(std::move(order));
  }
}

void AgentCore::spawn(const v1::Assignment& assignment) {
  spdlog::info("starting rank {} of {} of {}", assignment.rank(), assignment.world_size(),
               describe(assignment.id()));
  trainer_.emplace();
  trainer_->assignment = assignment;
  trainer_->beat.set_phase(v1::TRAINER_PHASE_INIT);
  actions_.push_back(Spawn{assignment});
}

void AgentCore::on(const TrainerSaid& event) {
  if (!trainer_) return;
  v1::TrainerEvent passed_on;
  switch (event.message.message_case()) {
    case v1::TrainerMessage::kHello: {
      if (std::exchange(trainer_->greeted, true)) return;
      v1::AgentOrder order;
      *order.mutable_assignment() = trainer_->assignment;
      actions_.push_back(Tell{std::move(order)});
      for (auto& held : trainer_->held_orders) actions_.push_back(Tell{std::move(held)});
      trainer_->held_orders.clear();
      return;
    }
    case v1::TrainerMessage::kBeat:
      trainer_->beat.set_phase(event.message.beat().phase());
      trainer_->beat.set_step(event.message.beat().step());
      trainer_->beat.set_entered_reduce(event.message.beat().entered_reduce());
      return;
    case v1::TrainerMessage::kStarted:
      *passed_on.mutable_started() = event.message.started();
      break;
    case v1::TrainerMessage::kStep:
      *passed_on.mutable_step() = event.message.step();
      break;
    case v1::TrainerMessage::kValidation:
      *passed_on.mutable_validation() = event.message.validation();
      break;
    case v1::TrainerMessage::kCheckpoint:
      *passed_on.mutable_checkpoint() = event.message.checkpoint();
      break;
    case v1::TrainerMessage::kFinished:
      *passed_on.mutable_finished() = event.message.finished();
      if (!trainer_->exit) trainer_->deadline = now_ + config_.linger;
      break;
    case v1::TrainerMessage::kLeft:
    case v1::TrainerMessage::MESSAGE_NOT_SET:
      return;
  }
  report(trainer_->assignment, std::move(passed_on));
}

void AgentCore::on(const TrainerStreamEnded&) {
  if (!trainer_) return;
  trainer_->stream_ended = true;
  if (trainer_->exit) return trainer_gone();
  if (!trainer_->deadline) trainer_->deadline = now_ + config_.linger;
}

void AgentCore::on(const TrainerExited& event) {
  if (!trainer_) return;
  trainer_->exit = event.exit;
  if (trainer_->stream_ended || !trainer_->greeted) return trainer_gone();
  trainer_->deadline = now_ + config_.stream_wait;
}

void AgentCore::on(const SpawnFailed& event) {
  if (!trainer_) return;
  spdlog::error("{}", event.message);
  v1::TrainerEvent finished;
  finished.mutable_finished()->set_outcome(v1::OUTCOME_FAILED);
  finished.mutable_finished()->set_reason("TrainerNotStarted");
  finished.mutable_finished()->set_message(event.message);
  report(trainer_->assignment, std::move(finished));
  trainer_->exit.emplace();
  trainer_->exit->set_exit_code(127);
  trainer_gone();
}

void AgentCore::on(const StopRequested&) {
  if (!leaving_) begin_leaving(0, "the agent was told to stop");
}

void AgentCore::kill_trainer() {
  if (!trainer_ || trainer_->exit || std::exchange(trainer_->killed, true)) return;
  trainer_->deadline.reset();
  actions_.push_back(KillTrainer{});
}

void AgentCore::trainer_gone() {
  const Trainer gone = std::move(*trainer_);
  trainer_.reset();
  v1::TrainerEvent event;
  *event.mutable_exited() = *gone.exit;
  if (gone.exit->signal() != 0 && !gone.killed) {
    spdlog::warn("rank {} of {} ended by signal {}", gone.assignment.rank(), describe(gone.assignment.id()),
                 gone.exit->signal());
  } else {
    spdlog::info("rank {} of {} {} {}", gone.assignment.rank(), describe(gone.assignment.id()),
                 gone.killed ? "was killed, signal" : "exited with",
                 gone.killed ? gone.exit->signal() : gone.exit->exit_code());
  }
  report(gone.assignment, std::move(event));
  if (leaving_) {
    actions_.push_back(Leave{*leaving_});
  } else if (pending_) {
    spawn(*std::exchange(pending_, std::nullopt));
  }
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

void AgentCore::report(const v1::Assignment& assignment, v1::TrainerEvent event) {
  *event.mutable_id() = assignment.id();
  event.set_rank(assignment.rank());
  if (event.has_exited()) last_exit_ = event;
  v1::AgentMessage message;
  *message.mutable_trainer() = std::move(event);
  actions_.push_back(Send{std::move(message)});
}

}  // namespace mdgen::worker
