#include "services/coordinator/coordinator.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "services/coordinator/coordinator_turn.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr std::chrono::seconds kStoreReminder{60};
constexpr std::chrono::milliseconds kSlowSave{100};

EngineOptions with_telemetry(EngineOptions options, Telemetry& telemetry) {
  options.telemetry = &telemetry;
  return options;
}

}  // namespace

void Coordinator::Deliveries::carry_out() {
  for (const auto& sink : to_flush) sink->flush();
  for (const auto& [done, answer] : answers) done(answer);
}

Coordinator::Coordinator(CoordinatorOptions options, std::unique_ptr<JobStore> store, std::int64_t epoch,
                         const Clock& clock, ManifestBuilder builder)
    : options_(std::move(options)),
      store_(std::move(store)),
      clock_(clock),
      builder_(std::move(builder)),
      metrics_(clock),
      engine_(with_telemetry(options_.engine, metrics_), epoch, store_->load(), now()) {
  {
    const Turn turn(*this);
    commit();
  }
  runner_ = std::thread([this] { engine_loop(); });
  validator_ = std::thread([this] { build_loop(); });
}

Coordinator::~Coordinator() { stop(); }

void Coordinator::stop() {
  {
    const std::lock_guard lock(inbox_mutex_);
    closed_ = true;
    inbox_changed_.notify_all();
  }
  if (runner_.joinable()) runner_.join();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    to_build_changed_.notify_all();
  }
  if (validator_.joinable()) validator_.join();
  const std::lock_guard lock(mutex_);
  try {
    engine_.save(*store_, now(), true);
  } catch (const std::exception& error) {
    spdlog::error("the last progress is not stored: {}", error.what());
  }
}

// --- agents ---

std::string Coordinator::connect(const std::shared_ptr<AgentSink>& sink, const v1::Register& identity) {
  const Turn turn(*this);
  const std::string id = engine_.connect(now(), identity);
  auto& held = sinks_[id];
  if (held != nullptr && held != sink) held->close("replaced by a newer connection of the same agent");
  held = sink;
  try_commit();
  spdlog::info("worker {} registered: {} process {}, {}", id, identity.host(), identity.pid(),
               identity.device());
  return id;
}

void Coordinator::agent_message(const std::string& worker_id, std::shared_ptr<AgentSink> sink,
                                v1::AgentMessage message) {
  post([this, worker_id, sink = std::move(sink), message = std::move(message)] {
    const auto held = sinks_.find(worker_id);
    if (held == sinks_.end() || held->second != sink) return;
    take(worker_id, message);
    if (message.acknowledge() == 0) return;
    if (message.has_beat()) {
      answer_taken(sink, message.acknowledge());  // there is nothing to store
    } else {
      to_acknowledge_.emplace_back(sink, message.acknowledge());
    }
  });
}

void Coordinator::take(const std::string& worker_id, const v1::AgentMessage& message) {
  if (message.has_beat()) {
    engine_.beat(now(), worker_id, message.beat());
  } else if (message.has_preflight()) {
    engine_.preflight_report(now(), worker_id, message.preflight());
  } else if (message.has_trainer()) {
    engine_.trainer_event(now(), worker_id, message.trainer());
  } else if (message.has_draining()) {
    spdlog::info("worker {} will leave: {}", worker_id, message.draining().reason());
    engine_.drain(now(), worker_id, message.draining());
  } else if (message.has_goodbye()) {
    spdlog::info("worker {} left: {}", worker_id, message.goodbye().reason());
    sinks_.erase(worker_id);
    engine_.leave(now(), worker_id, message.goodbye().reason());
  }
}

void Coordinator::agent_gone(const std::string& worker_id, std::shared_ptr<AgentSink> sink) {
  post([this, worker_id, sink = std::move(sink)] {
    const auto held = sinks_.find(worker_id);
    if (held == sinks_.end() || held->second != sink) return;
    sinks_.erase(held);
    spdlog::warn("worker {} is lost: its stream ended", worker_id);
    metrics_.worker_lost();
    engine_.disconnect(now(), worker_id, "its connection ended");
  });
}

void Coordinator::exchange(Ticket ticket, v1::ExchangeRequest request, ExchangeDone done) {
  {
    const std::lock_guard lock(calls_mutex_);
    waiting_.emplace(ticket, std::move(done));
  }
  post([this, ticket, request = std::move(request)] { engine_.exchange(request, ticket); });
}

bool Coordinator::cancel_exchange(Ticket ticket) {
  post([this, ticket] { engine_.forget_exchange(ticket); });
  const std::lock_guard lock(calls_mutex_);
  return waiting_.erase(ticket) > 0;
}

void Coordinator::dismiss_workers(std::chrono::milliseconds timeout) {
  {
    const Turn turn(*this);
    engine_.dismiss_workers("the run has ended");
    try_commit();
  }
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return engine_.workers().empty() || stopping_; });
}

std::size_t Coordinator::worker_count() const {
  const std::lock_guard lock(mutex_);
  return engine_.workers().size();
}

// --- inside ---

void Coordinator::post(Errand errand) {
  const std::lock_guard lock(inbox_mutex_);
  if (closed_) return;
  inbox_.push_back(std::move(errand));
  if (inbox_.size() == 1) inbox_changed_.notify_one();
}

// Messages whose changes could not be stored are not acknowledged.
void Coordinator::acknowledge() {
  for (auto& [sink, number] : std::exchange(to_acknowledge_, {})) {
    if (!store_failing_since_) answer_taken(sink, number);
  }
}

void Coordinator::answer_taken(const std::shared_ptr<AgentSink>& sink, std::uint64_t number) {
  v1::CoordinatorMessage taken;
  taken.mutable_taken()->set_number(number);
  sink->send(taken);
  deliveries_.to_flush.push_back(sink);
}

void Coordinator::commit(bool all) {
  const Clock::Steady begin = clock_.steady();
  engine_.save(*store_, now(), all);
  if (const auto took = clock_.steady() - begin; took > kSlowSave) engine_.stalled(now(), took);
  if (const auto since = std::exchange(store_failing_since_, std::nullopt)) {
    spdlog::info("the store can be written again, after {:.0f} s",
                 std::chrono::duration<double>(clock_.steady() - *since).count());
  }
  for (Output& output : engine_.take_outputs()) deliver(output);
  changed_.notify_all();
}

void Coordinator::try_commit() noexcept {
  try {
    commit();
  } catch (const std::exception& error) {
    store_failed(error.what());
  }
}

// Told at once, and again while it lasts.
void Coordinator::store_failed(const char* reason) {
  metrics_.store_failed();
  const Clock::Steady now = clock_.steady();
  const bool first = !store_failing_since_;
  if (first) store_failing_since_ = now;
  if (!first && now - store_failing_told_ < kStoreReminder) return;
  store_failing_told_ = now;
  spdlog::error("nothing is announced until it is stored; training goes on: {}", reason);
}

void Coordinator::deliver(Output& output) {
  if (auto* message = std::get_if<SendToAgent>(&output)) {
    const auto sink = sinks_.find(message->worker_id);
    if (sink == sinks_.end()) return;
    sink->second->send(message->message);
    deliveries_.to_flush.push_back(sink->second);
  } else if (auto* drop = std::get_if<DropAgent>(&output)) {
    spdlog::warn("worker {} is lost: {}", drop->worker_id, drop->reason);
    metrics_.worker_lost();
    if (const auto sink = sinks_.extract(drop->worker_id)) sink.mapped()->close(drop->reason);
  } else if (auto* request = std::get_if<RequestManifest>(&output)) {
    to_build_.push_back(std::move(*request));
    to_build_changed_.notify_all();
  } else if (auto* answer = std::get_if<ExchangeAnswer>(&output)) {
    const std::lock_guard lock(calls_mutex_);
    if (auto call = waiting_.extract(answer->ticket))
      deliveries_.answers.emplace_back(std::move(call.mapped()), std::move(*answer));
  } else if (const auto* news = std::get_if<Announce>(&output)) {
    spdlog::info("job {} is {} ({}): {}", news->job_id, state_name(news->transition.state()),
                 news->transition.reason(), news->transition.message());
  } else if (const auto* warned = std::get_if<Warned>(&output)) {
    spdlog::warn("job {}: {}", warned->job_id, warned->message);
  } else if (const auto* gone = std::get_if<JobForgotten>(&output)) {
    spdlog::info("job {} ({}) is forgotten: {}; its run folder stays", gone->job_id, gone->name, gone->why);
  }
}

void Coordinator::engine_loop() {
  auto next_tick = std::chrono::steady_clock::now();
  for (bool last = false; !last;) {
    std::vector<Errand> errands;
    {
      std::unique_lock lock(inbox_mutex_);
      inbox_changed_.wait_until(lock, next_tick, [this] { return closed_ || !inbox_.empty(); });
      errands = std::exchange(inbox_, {});
      last = closed_;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool tick = now >= next_tick;
    if (tick) next_tick = std::max(next_tick + options_.tick, now);
    run(errands, tick);
  }
}

// Beats that have come are heard before the tick looks for silence.
void Coordinator::run(const std::vector<Errand>& errands, bool tick) {
  const auto guarded = [](const char* what, const Errand& errand) {
    try {
      errand();
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", what, error.what());
    }
  };
  {
    const Turn turn(*this);
    for (const Errand& errand : errands) guarded("a message of an agent", errand);
    if (tick) guarded("tick", [this] { engine_.tick(now()); });
  }
  const Turn turn(*this);
  try_commit();
  acknowledge();
}

void Coordinator::build_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    to_build_changed_.wait(lock, [&] { return stopping_ || !to_build_.empty(); });
    if (stopping_) return;
    const RequestManifest request = std::move(to_build_.front());
    to_build_.pop_front();
    lock.unlock();
    build(request);
    lock.lock();
  }
}

bool Coordinator::building(const RequestManifest& request, std::size_t done, std::size_t total) {
  const Turn turn(*this);
  if (stopping_ || !engine_.examining(request.job_id, done, total, "")) return false;
  try_commit();
  return true;
}

void Coordinator::build(const RequestManifest& request) {
  std::optional<Validated> result;
  std::string reason = "Internal";
  std::string message;
  try {
    result = builder_(request,
                      [&](std::size_t done, std::size_t total) { return building(request, done, total); });
    write_manifest(request.run_folder, result->manifest);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kAborted)
      return;  // cancelled, or we are stopping: the next start examines it
    result.reset();
    reason = error.code() == ErrorCode::kInvalidArgument ? "InvalidDataset" : error_code_name(error.code());
    message = error.what();
  } catch (const std::exception& error) {
    result.reset();
    message = error.what();
  }
  const Turn turn(*this);
  if (result) {
    engine_.validated(now(), request.job_id, std::move(*result));
  } else {
    engine_.validation_failed(now(), request.job_id, reason, to_utf8(message));
  }
  try_commit();
}

}  // namespace mdgen::coordinator
