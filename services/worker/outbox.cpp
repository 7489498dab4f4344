#include "services/worker/outbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mdgen::worker {

void Outbox::push(v1::AgentMessage message) {
  if (waiting_.size() >= capacity_) {
    auto victim = std::find_if(waiting_.begin(), waiting_.end(),
                               [](const v1::AgentMessage& one) { return one.trainer().has_step(); });
    waiting_.erase(victim == waiting_.end() ? waiting_.begin() : victim);
    ++dropped_;
  }
  waiting_.push_back(std::move(message));
}

void Outbox::pop() {
  if (!waiting_.front().trainer().has_started()) {
    std::erase_if(written_, [](const v1::AgentMessage& one) { return one.trainer().has_started(); });
  }
  written_.push_back(std::move(waiting_.front()));
  waiting_.pop_front();
  if (written_.size() > replay_) written_.pop_front();
}

void Outbox::rewind() {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(written_.begin()),
                  std::make_move_iterator(written_.end()));
  written_.clear();
}

}  // namespace mdgen::worker
