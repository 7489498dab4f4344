// AgentCore: its trainer, through assignments, generations and its end.
#include <algorithm>
#include <csignal>
#include <utility>

#include "core/base/log.h"
#include "services/version/version.h"
#include "services/worker/agent_core.h"
#include "services/worker/generation_id.h"

namespace mdgen::worker {

void AgentCore::start(const v1::Assignment& assignment, std::int64_t beat) {
  const std::chrono::milliseconds lease(assignment.lease().duration_ms());
  const auto end = beats_.end_of(lease, beat);
  if (lease.count() > 0 && end <= config_.boot_time()) {
    spdlog::warn("refused an assignment of {}: its lease is over, it has lain about",
                 describe(assignment.id()));
    return report_never_started(assignment);
  }
  lease_end_ = end;
  assign(assignment);
}

void AgentCore::renew(const v1::LeaseRenewal& renewal, std::int64_t beat) {
  const auto end = beats_.end_of(std::chrono::milliseconds(renewal.lease().duration_ms()), beat);
  const auto left = end - config_.boot_time();
  if (left.count() <= 0) {
    spdlog::warn("refused a lease of {}: it is over, it has lain about", describe(renewal.id()));
    return;
  }
  if (trainer_ && !trainer_->greeted && same(trainer_->assignment.id(), renewal.id())) {
    lease_end_ = std::max(lease_end_, end);
    return;
  }
  v1::AgentOrder order;
  order.mutable_lease()->set_duration_ms(std::chrono::ceil<std::chrono::milliseconds>(left).count());
  order_trainer(renewal.id(), std::move(order));
}

void AgentCore::assign(const v1::Assignment& assignment) {
  const v1::GenerationId& id = assignment.id();
  const v1::Assignment* current = pending_   ? &pending_->assignment
                                  : trainer_ ? &trainer_->assignment
                                             : nullptr;
  if (current != nullptr && current->id().job_id() == id.job_id()) {
    if (id.generation() < current->id().generation()) {
      spdlog::warn("ignored an assignment of {}: {} is newer", describe(id), describe(current->id()));
      return;
    }
    if (same(id, current->id())) return;
  }
  if (draining_) {
    spdlog::warn("refused an assignment of {}: this agent is leaving", describe(id));
    return report_never_started(assignment);
  }
  if (trainer_) return replace_trainer(assignment);
  spawn(assignment);
}

void AgentCore::replace_trainer(const v1::Assignment& assignment) {
  const bool stays = trainer_->assignment.id().job_id() == assignment.id().job_id() && !trainer_->dying();
  if (stays && trainer_->left) return hand_over(assignment);
  const bool told = pending_.has_value();
  pending_ = Pending{assignment};
  if (!stays) return kill_trainer();
  if (!told) tell_abandon("generation " + std::to_string(assignment.id().generation()) + " follows");
}

void AgentCore::spawn(const v1::Assignment& assignment) {
  spdlog::info("starting rank {} of {} of {}", assignment.rank(), assignment.world_size(),
               describe(assignment.id()));
  trainer_.emplace();
  trainer_->assignment = assignment;
  trainer_->beat.set_phase(v1::TRAINER_PHASE_INIT);
  actions_.push_back(Spawn{assignment});
}

void AgentCore::hand_over(const v1::Assignment& assignment) {
  spdlog::info("the trainer of {} goes on as rank {} of {} of {}", describe(trainer_->assignment.id()),
               assignment.rank(), assignment.world_size(), describe(assignment.id()));
  trainer_->assignment = assignment;
  trainer_->left.reset();
  trainer_->held_orders.clear();
  trainer_->beat.Clear();
  trainer_->beat.set_phase(v1::TRAINER_PHASE_INIT);
  if (trainer_->greeted) tell_assignment();
}

void AgentCore::tell_assignment() {
  v1::AgentOrder order;
  *order.mutable_assignment() = trainer_->assignment;
  if (trainer_->assignment.lease().duration_ms() > 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(lease_end_ - config_.boot_time());
    order.mutable_assignment()->mutable_lease()->set_duration_ms(std::max<std::int64_t>(left.count(), 1));
  }
  actions_.push_back(Tell{std::move(order)});
  for (auto& held : trainer_->held_orders) actions_.push_back(Tell{std::move(held)});
  trainer_->held_orders.clear();
}

void AgentCore::abandon(const v1::AbandonOrder& order) {
  if (pending_ && same(pending_->assignment.id(), order.id())) {
    pending_->abandoned = true;
    return;
  }
  if (!trainer_ || !same(trainer_->assignment.id(), order.id())) return report_exit_again(order.id());
  if (trainer_->dying()) return;
  if (trainer_->left) return report_left(*trainer_->left);
  tell_abandon(order.reason());
}

// A trainer that has not said hello is in no generation yet: nothing has to be broken.
void AgentCore::tell_abandon(const std::string& reason) {
  if (!trainer_->greeted) {
    v1::LeftReport left;
    left.set_reason("Abandoned");
    left.set_message(reason);
    return trainer_left(left);
  }
  v1::AgentOrder order;
  *order.mutable_abandon()->mutable_id() = trainer_->assignment.id();
  order.mutable_abandon()->set_reason(reason);
  actions_.push_back(Tell{std::move(order)});
}

void AgentCore::trainer_left(const v1::LeftReport& report) {
  trainer_->left = report;
  trainer_->beat.set_phase(v1::TRAINER_PHASE_WAIT);
  trainer_->beat.set_entered_reduce(false);
  spdlog::info("rank {} has left {} at step {}: {}", trainer_->assignment.rank(),
               describe(trainer_->assignment.id()), report.applied(),
               report.agreed() ? "agreed" : report.reason() + " " + report.message());
  report_left(report);
  if (trainer_->dying()) return;
  if (draining_) return drain_trainer();
  settle_pending();
}

// What was waiting for the trainer to leave.
void AgentCore::settle_pending() {
  if (!pending_) return;
  const Pending next = *std::exchange(pending_, std::nullopt);
  if (!next.abandoned) return hand_over(next.assignment);
  trainer_->assignment = next.assignment;  // it has left that one too, without having been in it
  report_left(*trainer_->left);
}

void AgentCore::stop(const v1::Stop& stop) {
  if (stop.kill()) return kill_generation(stop.id());
  v1::AgentOrder order;
  *order.mutable_stop() = stop.order();
  order_trainer(stop.id(), std::move(order));
}

void AgentCore::kill_generation(const v1::GenerationId& id) {
  if (pending_ && same(pending_->assignment.id(), id)) {
    report_never_started(std::exchange(pending_, std::nullopt)->assignment);
    return kill_trainer();
  }
  if (trainer_ && same(trainer_->assignment.id(), id)) return kill_trainer();
  report_exit_again(id);
}

void AgentCore::order_trainer(const v1::GenerationId& id, v1::AgentOrder order) {
  if (!trainer_ || trainer_->exit || !same(trainer_->assignment.id(), id)) return;
  if (trainer_->greeted) {
    actions_.push_back(Tell{std::move(order)});
  } else {
    trainer_->held_orders.push_back(std::move(order));
  }
}

void AgentCore::on(const TrainerSaid& event) {
  if (!trainer_) return;
  trainer_->heard_at = now_;
  v1::TrainerEvent passed_on;
  switch (event.message.message_case()) {
    case v1::TrainerMessage::kHello:
      return greet(event.message.hello());
    case v1::TrainerMessage::kBeat:
      trainer_->beat.set_phase(event.message.beat().phase());
      trainer_->beat.set_step(event.message.beat().step());
      trainer_->beat.set_entered_reduce(event.message.beat().entered_reduce());
      trainer_->beat.set_compute_seconds(event.message.beat().compute_seconds());
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
      return trainer_left(event.message.left());
    case v1::TrainerMessage::MESSAGE_NOT_SET:
      return;
  }
  report(trainer_->assignment, std::move(passed_on));
}

// A trainer of another release would be told what it does not know, and this agent what it does not: the slot
// is of no use until both are of one.
void AgentCore::greet(const v1::TrainerHello& hello) {
  const auto reason =
      config_.version.empty() ? std::nullopt : version::refuse_trainer(config_.version, hello.version());
  if (reason) {
    spdlog::error("{}", *reason);
    return begin_leaving(version::kExitIncompatible, *reason);
  }
  if (!std::exchange(trainer_->greeted, true) && !trainer_->left) tell_assignment();
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
  trainer_->continue_at.reset();
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

void AgentCore::kill_trainer() {
  if (!trainer_ || trainer_->exit || std::exchange(trainer_->killed, true)) return;
  trainer_->deadline.reset();
  trainer_->continue_at.reset();
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
  } else if (draining_) {
    begin_leaving(0, draining_->reason);
  } else if (pending_) {
    const Pending next = *std::exchange(pending_, std::nullopt);
    next.abandoned ? report_never_started(next.assignment) : spawn(next.assignment);
  }
}

void AgentCore::report_left(const v1::LeftReport& left) {
  v1::TrainerEvent event;
  *event.mutable_left() = left;
  report(trainer_->assignment, std::move(event));
}

void AgentCore::report_never_started(const v1::Assignment& assignment) {
  v1::TrainerEvent event;
  event.mutable_exited()->set_signal(SIGKILL);
  report(assignment, std::move(event));
}

void AgentCore::report_exit_again(const v1::GenerationId& id) {
  if (!last_exit_ || !same(last_exit_->id(), id)) return;
  v1::AgentMessage again;
  *again.mutable_trainer() = *last_exit_;
  actions_.push_back(Send{std::move(again)});
}

}  // namespace mdgen::worker
