// Bytes from the host to the device that trains, while that computes.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "core/data/buffer_pool.h"

namespace mdgen::data {

// A copy that has been started. Its host memory is kept until it is done.
class DeviceCopy {
 public:
  virtual ~DeviceCopy() = default;
  // The bytes on the device, uint8. What is asked of the device from now on, on the caller's current stream,
  // sees them; waits for nothing on the host. Once.
  virtual at::Tensor finish() = 0;
  // Whether the host's memory is read no more.
  virtual bool done() const = 0;
};

// For one thread, but for allocate(), which any may call.
class DeviceCopier {
 public:
  virtual ~DeviceCopier() = default;
  // Memory that the device copies from without waiting (page-locked).
  virtual BufferPool::Buffer allocate(std::size_t bytes) = 0;
  // `host` is from allocate().
  virtual std::unique_ptr<DeviceCopy> start(const BufferPool::Buffer& host, std::int64_t bytes) = 0;
};

// Page-locked memory and a stream of its own beside the one that computes. CUDA must be loaded
// (comm::load_cuda()).
std::unique_ptr<DeviceCopier> stream_copier(at::Device device);

}  // namespace mdgen::data
