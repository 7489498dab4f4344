#include "tests/bench/coordinator_load/simulated_agent.h"

#include <csignal>
#include <utility>

#include "core/base/identity.h"

namespace mdgen::load {
namespace {

constexpr int kRanksPerHost = 8;

std::optional<Call> call_of(const v1::AgentMessage& message) {
  if (message.has_beat()) return Call::kBeat;
  switch (message.trainer().event_case()) {
    case v1::TrainerEvent::kStarted:
      return Call::kStarted;
    case v1::TrainerEvent::kStep:
      return Call::kStep;
    case v1::TrainerEvent::kCheckpoint:
      return Call::kCheckpoint;
    case v1::TrainerEvent::kFinished:
    case v1::TrainerEvent::kExited:
      return Call::kEnd;
    default:
      return std::nullopt;
  }
}

v1::Register identity(int number) {
  const std::string host = std::to_string(number / kRanksPerHost);
  v1::Register registration;
  registration.set_incarnation(make_uuid());
  registration.set_host("node" + host);
  registration.set_pid(10000 + number);
  registration.set_boot_id("boot-" + host);
  registration.set_device("cuda:" + std::to_string(number % kRanksPerHost));
  registration.set_address("127.0.0.1");
  registration.set_cpus(64);
  registration.set_local_rank(number % kRanksPerHost);
  registration.set_local_size(kRanksPerHost);
  return registration;
}

std::string rendezvous_name(const v1::GenerationId& id, const std::string& key) {
  return id.job_id() + "/" + std::to_string(id.generation()) + "/" + key;
}

}  // namespace

SimulatedAgent::SimulatedAgent(int number, Shared& shared, PostLetter post, Clock::Steady now)
    : shared_(shared),
      post_(std::move(post)),
      registration_(identity(number)),
      core_({.coordinator = shared.target,
             .beat_interval = shared.options.beat_interval,
             .connect_timeout = shared.options.patience},
            now),
      now_(now),
      link_(worker::make_channel(shared.target, !shared.options.share_connection), handlers()) {}

worker::CoordinatorLink::Handlers SimulatedAgent::handlers() {
  return {.message =
              [this](const v1::CoordinatorMessage& message) {
                const auto at = std::chrono::steady_clock::now();
                if (message.has_start()) {
                  ++shared_.counters.assignments;
                  shared_.counters.assignment_bytes += static_cast<std::int64_t>(message.ByteSizeLong());
                }
                v1::CoordinatorMessage kept = message;
                if (kept.has_start())
                  kept.mutable_start()->clear_manifest();  // 4096 of them need much memory
                post_(Told{worker::Ordered{std::move(kept)}, at});
              },
          .down =
              [this](const grpc::Status& status) {
                post_(Told{worker::LinkDown{worker::link_loss(status), status.error_message()},
                           std::chrono::steady_clock::now()});
              }};
}

void SimulatedAgent::read(const Letter& letter, Clock::Steady now) {
  now_ = now;
  if (const auto* told = std::get_if<Told>(&letter)) {
    if (const auto* ordered = std::get_if<worker::Ordered>(&told->event)) {
      if (ordered->message.has_taken()) return taken(ordered->message.taken().number(), told->at);
      if (ordered->message.has_welcome()) shared_.latencies.add(Call::kRegister, told->at - opened_);
    } else if (std::holds_alternative<worker::LinkDown>(told->event)) {
      if (std::exchange(registered_, false)) --shared_.counters.registered;
      if (!leaving_) ++shared_.counters.links_lost;
      unanswered_.clear();
    }
    tell(told->event);
  } else if (const auto* exchanged = std::get_if<Exchanged>(&letter)) {
    if (!exchanged->good && !exchanged->superseded && !leaving_) ++shared_.counters.failed_exchanges;
    if (exchanged->good) {
      shared_.latencies.add(Call::kExchange, exchanged->at - exchanged->posted);
      shared_.latencies.add(Call::kRendezvous, exchanged->at - shared_.post_times.last(exchanged->key));
    }
    if (trainer_ && exchanged->trainer == trainer_number_ &&
        exchanged->key.starts_with(rendezvous_name(trainer_->id(), "")))
      act(trainer_->exchanged(exchanged->good, now_));
  } else if (trainer_) {
    act(trainer_->crash(SIGSEGV));
  }
  settle();
}

void SimulatedAgent::tick(Clock::Steady now) {
  now_ = now;
  if (trainer_) act(trainer_->tick(now));
  tell(worker::Tick{});
  settle();
}

void SimulatedAgent::leave(Clock::Steady now) {
  now_ = now;
  leaving_ = true;
  tell(worker::StopRequested{"the load is over", true});
  settle();
}

Clock::Steady SimulatedAgent::wake_at() const {
  if (left_) return Clock::Steady::max();
  return trainer_ ? std::min(core_.wake_at(), trainer_->wake_at()) : core_.wake_at();
}

void SimulatedAgent::tell(worker::Event event) { events_.push_back(std::move(event)); }

void SimulatedAgent::settle() {
  while (!events_.empty()) {
    const worker::Event event = std::move(events_.front());
    events_.pop_front();
    for (worker::Action& action : core_.handle(event, now_))
      std::visit([this](auto& one) { carry_out(one); }, action);
  }
  observe_training();
}

void SimulatedAgent::observe_training() {
  const bool training = trainer_ && trainer_->training();
  if (training == std::exchange(training_, training)) return;
  shared_.counters.training += training ? 1 : -1;
}

void SimulatedAgent::act(std::vector<Act> acts) {
  for (Act& one : acts) {
    if (auto* say = std::get_if<Say>(&one)) {
      tell(worker::TrainerSaid{std::move(say->message)});
    } else if (const auto* request = std::get_if<Post>(&one)) {
      post(request->request);
    } else {
      end(std::get<End>(one).exit);
    }
  }
}

void SimulatedAgent::carry_out(worker::OpenLink& open) {
  if (open.new_incarnation) registration_.set_incarnation(make_uuid());
  registration_.clear_running();
  for (auto& id : open.running) *registration_.add_running() = std::move(id);
  opened_ = std::chrono::steady_clock::now();
  link_.open(registration_);
}

void SimulatedAgent::carry_out(worker::LinkUp&) {
  if (!std::exchange(registered_, true)) ++shared_.counters.registered;
  link_.release();
}

void SimulatedAgent::carry_out(worker::Send& send) {
  if (const auto call = call_of(send.message)) {
    if (*call == Call::kBeat) ++shared_.counters.beats_sent;
    send.message.set_acknowledge(++last_number_);
    unanswered_[last_number_] = {*call, std::chrono::steady_clock::now()};
  }
  link_.send(std::move(send.message));
}

void SimulatedAgent::taken(std::uint64_t number, Clock::Steady at) {
  const auto sent = unanswered_.find(number);
  if (sent == unanswered_.end()) return;
  if (sent->second.call == Call::kBeat) ++shared_.counters.beats_answered;
  shared_.latencies.add(sent->second.call, at - sent->second.at);
  unanswered_.erase(sent);
}

void SimulatedAgent::carry_out(worker::Spawn&) {
  ++trainer_number_;
  trainer_.emplace(shared_.options, shared_.checkpoints);
  act(trainer_->start());
}

void SimulatedAgent::carry_out(worker::Tell& tell) {
  if (trainer_) act(trainer_->order(tell.order, now_));
}

void SimulatedAgent::carry_out(worker::KillTrainer&) {
  v1::ProcessExit exit;
  exit.set_signal(SIGKILL);
  if (trainer_) end(exit);
}

void SimulatedAgent::carry_out(worker::Examine& examine) {
  worker::ExaminerSaid refusal;
  refusal.report.set_job_id(examine.task.job_id());
  refusal.report.set_attempt(examine.task.attempt());
  refusal.report.mutable_failure()->set_reason("Unimplemented");
  refusal.report.mutable_failure()->set_message("simulated agents examine no data sets");
  tell(std::move(refusal));
}

void SimulatedAgent::end(const v1::ProcessExit& exit) {
  trainer_.reset();
  tell(worker::TrainerStreamEnded{});
  tell(worker::TrainerExited{exit});
}

void SimulatedAgent::post(const v1::ExchangeRequest& request) {
  const std::string key = rendezvous_name(request.id(), request.key());
  const auto posted = std::chrono::steady_clock::now();
  shared_.post_times.posted(key, posted);
  link_.exchange(request, [this, key, posted, trainer = trainer_number_](const grpc::Status& status,
                                                                         const v1::ExchangeResponse&) {
    post_(Exchanged{trainer, key, posted, std::chrono::steady_clock::now(), status.ok(),
                    status.error_code() == grpc::StatusCode::ABORTED});
  });
}

}  // namespace mdgen::load
