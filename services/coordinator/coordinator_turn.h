// Internal to the coordinator: the mutex held for a while, and what is to be sent carried out after it.
#pragma once

#include <mutex>
#include <utility>

#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

class Coordinator::Turn {
 public:
  explicit Turn(Coordinator& coordinator) : coordinator_(coordinator), lock_(coordinator.mutex_) {
    coordinator.engine_.wake(coordinator.now());
  }
  ~Turn() {
    Deliveries deliveries = std::exchange(coordinator_.deliveries_, {});
    lock_.unlock();
    deliveries.carry_out();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Coordinator& coordinator_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace mdgen::coordinator
