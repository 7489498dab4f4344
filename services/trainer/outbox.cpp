#include "services/trainer/outbox.h"

#include <algorithm>
#include <utility>

namespace mdgen::trainer {

void Outbox::push(v1::TrainerMessage message) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (message.has_beat()) {
    std::erase_if(queue_, [](const v1::TrainerMessage& queued) { return queued.has_beat(); });
  }
  queue_.push_back(std::move(message));
  changed_.notify_one();
}

void Outbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::optional<v1::TrainerMessage> Outbox::pop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
  if (queue_.empty()) return std::nullopt;
  v1::TrainerMessage message = std::move(queue_.front());
  queue_.pop_front();
  return message;
}

}  // namespace mdgen::trainer
