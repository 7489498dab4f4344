#include "core/data/buffer_pool.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace mdgen::data {
namespace {

constexpr std::align_val_t kAlignment{64};

BufferPool::Buffer plain_memory(std::size_t bytes) {
  return {static_cast<std::byte*>(::operator new(bytes, kAlignment)),
          [](std::byte* memory) { ::operator delete(memory, kAlignment); }};
}

struct Block {
  std::size_t bytes = 0;
  BufferPool::Buffer memory;
};

}  // namespace

struct BufferPool::State {
  Allocate allocate;
  std::mutex mutex;
  std::vector<Block> free;

  // The smallest that is large enough; else nothing, and one that is too small is given up for a new one.
  Block pop(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    auto best = free.end();
    for (auto block = free.begin(); block != free.end(); ++block)
      if (block->bytes >= bytes && (best == free.end() || block->bytes < best->bytes)) best = block;
    if (best == free.end()) {
      if (!free.empty()) free.pop_back();
      return {};
    }
    Block block = std::move(*best);
    free.erase(best);
    return block;
  }
  void push(Block block) {
    const std::lock_guard lock(mutex);
    free.push_back(std::move(block));
  }
};

BufferPool::BufferPool() : BufferPool(plain_memory) {}

BufferPool::BufferPool(Allocate allocate) : state_(std::make_shared<State>()) {
  state_->allocate = std::move(allocate);
}

BufferPool::Buffer BufferPool::take(std::size_t bytes) {
  Block block = state_->pop(bytes);
  if (!block.memory) block = {bytes, state_->allocate(bytes)};
  std::byte* const memory = block.memory.get();
  return {memory, [state = state_, block = std::move(block)](std::byte*) { state->push(block); }};
}

}  // namespace mdgen::data
