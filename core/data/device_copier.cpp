#include "core/data/device_copier.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace mdgen::data {
namespace {

class StreamCopy : public DeviceCopy {
 public:
  StreamCopy(const at::Tensor& host, at::Device device, c10::Stream stream)
      : host_(host), device_(device), copied_(device.type()) {
    const c10::StreamGuard side(stream);
    on_device_ = host.to(device, /*non_blocking=*/true);
    copied_.record(stream);
  }
  at::Tensor finish() override {
    const c10::Stream compute = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    copied_.block(compute);
    on_device_.record_stream(compute);
    return std::move(on_device_);
  }
  bool done() const override { return copied_.query(); }

 private:
  at::Tensor host_;
  at::Device device_;
  c10::Event copied_;
  at::Tensor on_device_;
};

class StreamCopier : public DeviceCopier {
 public:
  explicit StreamCopier(at::Device device)
      : device_(device), side_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {}

  BufferPool::Buffer allocate(std::size_t bytes) override {
    const auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(true);
    const at::Tensor memory = at::empty({static_cast<std::int64_t>(bytes)}, options);
    return {reinterpret_cast<std::byte*>(memory.data_ptr()), [memory](std::byte*) {}};
  }
  std::unique_ptr<DeviceCopy> start(const BufferPool::Buffer& host, std::int64_t bytes) override {
    return std::make_unique<StreamCopy>(
        at::from_blob(
            host.get(), {bytes}, [host](void*) {}, at::TensorOptions().dtype(at::kByte)),
        device_, side_);
  }

 private:
  at::Device device_;
  c10::Stream side_;
};

}  // namespace

std::unique_ptr<DeviceCopier> stream_copier(at::Device device) {
  return std::make_unique<StreamCopier>(device);
}

}  // namespace mdgen::data
