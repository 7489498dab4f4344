#include "tests/bench/coordinator_load/simulated_trainer.h"

#include <algorithm>

namespace mdgen::load {
namespace {

// The rendezvous that core/comm makes, with blobs of the same size.
std::vector<std::pair<std::string, std::string>> rendezvous(Backend backend, int rank, int world_size) {
  if (backend == Backend::kNccl) return {{"nccl/id", rank == 0 ? std::string(128, 'n') : std::string()}};
  constexpr int kPairAddress = 136;  // a sockaddr_storage and a sequence number for each peer
  return {{"gloo/address", "127.0.0.1:" + std::to_string(10000 + rank)},
          {"gloo/0", std::string(static_cast<std::size_t>(world_size * kPairAddress), 'g')},
          {"gloo/formed", ""}};
}

}  // namespace

std::vector<Act> SimulatedTrainer::start() {
  v1::TrainerMessage message;
  message.mutable_hello()->set_pid(1);
  return {Say{std::move(message)}};
}

std::vector<Act> SimulatedTrainer::order(const v1::AgentOrder& order, Clock::Steady) {
  if (order.has_assignment()) {
    id_ = order.assignment().id();
    rank_ = order.assignment().rank();
    world_size_ = order.assignment().world_size();
    run_folder_ = order.assignment().run_folder();
    posts_ = 0;
    waiting_ = false;
    return {next_post()};
  }
  if (order.has_abandon() && !waiting_) return leave(false, false);
  return order.has_stop() ? stop(order.stop()) : std::vector<Act>{};
}

std::vector<Act> SimulatedTrainer::stop(const v1::StopOrder& order) {
  const bool saves = training_ && order.checkpoint();
  std::vector<Act> acts;
  if (rank_ == 0 && saves) acts.push_back(say_checkpoint());
  for (Act& act : order.yield() ? leave(true, saves) : finish(v1::OUTCOME_STOPPED, "", 0))
    acts.push_back(std::move(act));
  return acts;
}

std::vector<Act> SimulatedTrainer::leave(bool agreed, bool checkpointed) {
  resident_ = resident_ || training_;
  training_ = false;
  waiting_ = true;
  next_step_ = Clock::Steady::max();
  v1::TrainerMessage message;
  v1::LeftReport& left = *message.mutable_left();
  left.set_applied(step_);
  left.set_resident(resident_);
  left.set_agreed(agreed);
  left.set_checkpointed(checkpointed);
  if (!agreed) left.set_reason("Abandoned");
  return {Say{std::move(message)}};
}

Act SimulatedTrainer::next_post() {
  auto [key, blob] = rendezvous(options_.backend, rank_, world_size_).at(posts_++);
  v1::ExchangeRequest request;
  *request.mutable_id() = id_;
  request.set_rank(rank_);
  request.set_key(std::move(key));
  request.set_blob(std::move(blob));
  return Post{std::move(request)};
}

std::vector<Act> SimulatedTrainer::exchanged(bool good, Clock::Steady now) {
  if (waiting_) return {};
  if (!good) return leave(false, false);
  const std::size_t posts = options_.backend == Backend::kNccl ? 1 : 3;
  if (posts_ < posts) return {next_post()};
  return train(now);
}

std::vector<Act> SimulatedTrainer::train(Clock::Steady now) {
  training_ = true;
  if (!resident_) step_ = checkpoints_[id_.job_id()];
  v1::TrainerMessage beat;
  beat.mutable_beat()->set_phase(v1::TRAINER_PHASE_COMPUTE);
  beat.mutable_beat()->set_step(step_);
  std::vector<Act> acts{Say{std::move(beat)}};
  if (rank_ != 0) return acts;
  v1::TrainerMessage started;
  started.mutable_started()->set_first_step(step_);
  started.mutable_started()->set_source(resident_   ? v1::STATE_SOURCE_MEMORY
                                        : step_ > 0 ? v1::STATE_SOURCE_CHECKPOINT
                                                    : v1::STATE_SOURCE_INITIAL);
  if (!resident_ && step_ > 0) started.mutable_started()->set_checkpoint("step-" + std::to_string(step_));
  started.mutable_started()->set_parameters(34'000'000);
  acts.push_back(Say{std::move(started)});
  next_step_ = now + options_.step_time;
  return acts;
}

std::vector<Act> SimulatedTrainer::tick(Clock::Steady now) {
  if (now < next_step_) return {};
  next_step_ = std::max(next_step_ + options_.step_time, now);
  v1::TrainerMessage message;
  v1::StepReport& report = *message.mutable_step();
  report.set_step(++step_);
  report.set_loss(1.0 / static_cast<double>(step_));
  report.set_grad_norm(0.5);
  report.set_lr(1e-4);
  report.set_seconds(std::chrono::duration<double>(options_.step_time).count());
  report.set_samples(world_size_);
  report.set_tokens(64'000LL * world_size_);
  report.set_sample_hash_sum(static_cast<std::uint64_t>(step_) * 0x9E3779B97F4A7C15ULL);
  std::vector<Act> acts{Say{std::move(message)}};
  if (step_ % options_.checkpoint_every == 0) acts.push_back(say_checkpoint());
  return acts;
}

Act SimulatedTrainer::say_checkpoint() {
  checkpoints_[id_.job_id()] = step_;
  v1::TrainerMessage message;
  message.mutable_checkpoint()->set_step(step_);
  message.mutable_checkpoint()->set_folder(run_folder_ + "/checkpoints/step-" + std::to_string(step_));
  message.mutable_checkpoint()->set_verified(true);
  return Say{std::move(message)};
}

std::vector<Act> SimulatedTrainer::finish(v1::Outcome outcome, const std::string& reason, int exit_code) {
  training_ = false;
  next_step_ = Clock::Steady::max();
  v1::TrainerMessage message;
  message.mutable_finished()->set_outcome(outcome);
  message.mutable_finished()->set_reason(reason);
  message.mutable_finished()->set_steps_applied(step_);
  v1::ProcessExit exit;
  exit.set_exit_code(exit_code);
  return {Say{std::move(message)}, End{std::move(exit)}};
}

std::vector<Act> SimulatedTrainer::crash(int signal) {
  training_ = false;
  next_step_ = Clock::Steady::max();
  v1::ProcessExit exit;
  exit.set_signal(signal);
  for (int line = 0; line < 20; ++line)
    exit.add_last_log_lines("frame #" + std::to_string(line) + ": a line of a trainer's last words");
  return {End{std::move(exit)}};
}

}  // namespace mdgen::load
