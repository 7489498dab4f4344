#include "tests/bench/coordinator_load/agent_pool.h"

#include <algorithm>

namespace mdgen::load {
namespace {

constexpr int kAlarmsAtOnce = 16;

}  // namespace

AgentPool::AgentPool(const LoadOptions& options, std::string target, Latencies& latencies)
    : options_(options), shared_{options, std::move(target), latencies, counters_} {
  const auto now = std::chrono::steady_clock::now();
  for (int number = 0; number < options.ranks; ++number) {
    const auto index = static_cast<std::size_t>(number);
    agents_.push_back(std::make_unique<SimulatedAgent>(
        number, shared_, [this, index](Letter letter) { post(index, std::move(letter)); }, now));
  }
}

AgentPool::~AgentPool() {
  leave(std::chrono::milliseconds(0));
  for (const auto& agent : agents_) agent->abandon();
}

void AgentPool::start() {
  const auto now = std::chrono::steady_clock::now();
  wake_at_.resize(agents_.size());
  for (std::size_t agent = 0; agent < agents_.size(); ++agent) {
    wake_at_[agent] = now;
    if (options_.arrivals > 0)
      wake_at_[agent] += std::chrono::nanoseconds(std::chrono::seconds(agent)) / options_.arrivals;
    alarms_.emplace(wake_at_[agent], agent);
  }
  thread_ = std::thread([this] { run(); });
}

void AgentPool::crash_one_of_each_job() {
  const std::lock_guard lock(mutex_);
  const int victim = options_.ranks > options_.jobs ? 1 : 0;
  errands_.emplace_back([this, victim] {
    for (std::size_t agent = 0; agent < agents_.size(); ++agent) {
      const SimulatedTrainer* trainer = agents_[agent]->trainer();
      if (trainer != nullptr && trainer->rank() == victim) post(agent, Crash{});
    }
  });
  changed_.notify_all();
}

void AgentPool::leave(std::chrono::milliseconds timeout) {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    errands_.emplace_back([this] {
      for (std::size_t agent = 0; agent < agents_.size(); ++agent) {
        agents_[agent]->leave(std::chrono::steady_clock::now());
        schedule(agent);
      }
    });
    changed_.notify_all();
    changed_.wait_for(lock, timeout, [this] { return all_left_; });
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void AgentPool::post(std::size_t agent, Letter letter) {
  const std::lock_guard lock(mutex_);
  mail_.push_back({agent, std::move(letter)});
  if (mail_.size() == 1) changed_.notify_all();
}

void AgentPool::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = alarms_.empty() ? Clock::Steady::max() : alarms_.top().first;
    const auto wanted = [this] { return stopping_ || !mail_.empty() || !errands_.empty(); };
    if (next == Clock::Steady::max()) {
      changed_.wait(lock, wanted);
    } else {
      changed_.wait_until(lock, next, wanted);
    }
    const auto mail = std::exchange(mail_, {});
    const auto errands = std::exchange(errands_, {});
    lock.unlock();
    for (const Mail& one : mail) {
      agents_[one.agent]->read(one.letter, std::chrono::steady_clock::now());
      schedule(one.agent);
    }
    for (const auto& errand : errands) errand();
    ring(std::chrono::steady_clock::now());
    const bool all_left =
        std::all_of(agents_.begin(), agents_.end(), [](const auto& agent) { return agent->left(); });
    lock.lock();
    if (all_left && !std::exchange(all_left_, true)) changed_.notify_all();
  }
}

// Few at a time: the mail is not to wait for thousands.
void AgentPool::ring(Clock::Steady now) {
  for (int rung = 0; rung < kAlarmsAtOnce && !alarms_.empty() && alarms_.top().first <= now; ++rung) {
    const auto [at, agent] = alarms_.top();
    alarms_.pop();
    if (at != wake_at_[agent]) continue;
    wake_at_[agent] = Clock::Steady::max();
    agents_[agent]->tick(std::chrono::steady_clock::now());
    schedule(agent);
  }
}

void AgentPool::schedule(std::size_t agent) {
  const auto at = agents_[agent]->wake_at();
  if (at >= wake_at_[agent] || at == Clock::Steady::max()) return;
  wake_at_[agent] = at;
  alarms_.emplace(at, agent);
}

}  // namespace mdgen::load
