// Host memory that is used again. No LibTorch.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace mdgen::data {

// Copies share one pool. Thread-safe.
class BufferPool {
 public:
  using Buffer = std::shared_ptr<std::byte>;
  using Allocate = std::function<Buffer(std::size_t bytes)>;

  BufferPool();  // plain memory, aligned to 64 bytes
  explicit BufferPool(Allocate allocate);

  // At least so many bytes, with whatever they held before; they go back to the pool with their last owner,
  // who may outlive it. The pool has no more buffers than were ever taken at a time.
  Buffer take(std::size_t bytes);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mdgen::data
