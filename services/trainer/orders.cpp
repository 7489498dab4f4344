#include "services/trainer/orders.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "core/base/error.h"

namespace mdgen::trainer {
namespace {

std::int64_t nanoseconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

std::chrono::nanoseconds duration_of(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace

void Orders::take(const v1::AgentOrder& order) {
  if (order.has_lease()) take(order.lease());
  if (order.has_stop()) take(order.stop());
  if (order.has_abandon()) take(order.abandon());
  if (order.has_inject()) take(order.inject().fault());
  if (order.has_assignment()) take(order.assignment());
}

void Orders::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Orders::take(const v1::Assignment& assignment) {
  bool overtakes = false;
  {
    const std::lock_guard lock(mutex_);
    if (assignment.id().generation() <= generation_) {
      return spdlog::warn("an assignment of generation {} is too late: {} has come",
                          assignment.id().generation(), generation_);
    }
    generation_ = assignment.id().generation();
    if (!wants_end_locked()) control_.stop = false;
    waiting_ = Order{.assignment = assignment, .received = std::chrono::steady_clock::now(), .stop = {}};
    waiting_is_abandoned_.clear();
    overtakes = under_way_;
    changed_.notify_all();
  }
  take(assignment.lease());
  if (overtakes) break_off("generation " + std::to_string(assignment.id().generation()) + " has come");
}

void Orders::take(const v1::StopOrder& order) {
  spdlog::info("asked to {} at the next step boundary{}", order.yield() ? "leave the generation" : "stop",
               order.checkpoint() ? ", with a checkpoint" : "");
  const std::lock_guard lock(mutex_);
  if (wants_end_locked() && order.yield()) return;
  control_.stop_checkpoint = order.checkpoint();
  control_.stop_yield = order.yield();
  control_.stop = true;
  changed_.notify_all();
}

void Orders::take(const v1::AbandonOrder& order) {
  const std::string reason = order.reason().empty() ? "the generation is abandoned" : order.reason();
  {
    const std::lock_guard lock(mutex_);
    if (order.id().generation() < generation_) return;
    if (waiting_) {
      waiting_is_abandoned_ = reason;
      return;
    }
    if (!under_way_) return;
  }
  spdlog::info("told to leave generation {}: {}", order.id().generation(), reason);
  break_off(reason);
}

void Orders::take(const v1::Fault& fault) {
  spdlog::warn("injected: {}", fault.ShortDebugString());
  if (fault.kind() == v1::FAULT_KIND_SLOW) {
    control_.slow_ns = duration_of(fault.seconds()).count();
    control_.slow_steps = fault.steps() > 0 ? fault.steps() : -1;
  }
  if (fault.kind() != v1::FAULT_KIND_PARTITION) return;
  const std::lock_guard breaking(breaker_mutex_);
  {
    const std::lock_guard lock(mutex_);
    apart_until_ = std::chrono::steady_clock::now() + duration_of(fault.seconds());
    for (const auto& [number, cancel] : cancels_) cancel();
  }
  if (breaker_) breaker_("injected: cut off");
}

void Orders::take(const v1::Lease& lease) {
  if (lease.duration_ms() <= 0) return;
  control_.lease_until_ns.store(
      nanoseconds(std::chrono::steady_clock::now() + std::chrono::milliseconds(lease.duration_ms())));
}

void Orders::break_off(const std::string& reason) {
  const std::lock_guard breaking(breaker_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!under_way_) return;
    abandoned_ = reason;
    control_.abandoned = true;
    for (const auto& [number, cancel] : cancels_) cancel();
    changed_.notify_all();
  }
  if (breaker_) breaker_(reason);
}

void Orders::set_breaker(std::function<void(const std::string& reason)> breaker) {
  const std::lock_guard breaking(breaker_mutex_);
  breaker_ = std::move(breaker);
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    reason = abandoned_;
  }
  if (breaker_ && control_.abandoned) breaker_(reason);
}

Order Orders::next(std::chrono::milliseconds hold) {
  std::unique_lock lock(mutex_);
  const auto woken = [this] { return waiting_ || ended_ || wants_end_locked(); };
  const bool held_out = !changed_.wait_for(lock, hold, woken);
  if (ended_) return {.assignment = {}, .received = {}, .stop = {}, .gone = true};
  if (wants_end_locked() && !waiting_) {
    v1::StopOrder stop;
    stop.set_checkpoint(control_.stop_checkpoint);
    return {.assignment = {}, .received = {}, .stop = stop};
  }
  if (held_out) return {};
  Order order = std::move(*waiting_);
  waiting_.reset();
  under_way_ = true;
  abandoned_ = std::exchange(waiting_is_abandoned_, "");
  control_.abandoned = !abandoned_.empty();
  return order;
}

void Orders::left() {
  const std::lock_guard lock(mutex_);
  under_way_ = false;
  if (!wants_end_locked()) control_.stop = control_.stop && waiting_;
}

void Orders::end_calls() {
  const std::lock_guard lock(mutex_);
  calls_ended_ = true;
  for (const auto& [number, cancel] : cancels_) cancel();
  changed_.notify_all();
}

Orders::Call::Call(Orders& orders, std::function<void()> cancel) : orders_(orders) {
  std::unique_lock lock(orders.mutex_);
  const bool apart = orders.apart_until_ > std::chrono::steady_clock::now();
  orders.changed_.wait_until(lock, orders.apart_until_,
                             [&] { return orders.control_.abandoned || orders.calls_ended_; });
  if (orders.calls_ended_) throw Error(ErrorCode::kAborted, "the rank ends");
  if (orders.control_.abandoned) throw Error(ErrorCode::kAborted, orders.abandoned_);
  if (apart) throw Error(ErrorCode::kUnavailable, "injected: cut off");
  number_ = ++orders.calls_;
  orders.cancels_.emplace(number_, std::move(cancel));
}

Orders::Call::~Call() {
  const std::lock_guard lock(orders_.mutex_);
  orders_.cancels_.erase(number_);
}

}  // namespace mdgen::trainer
