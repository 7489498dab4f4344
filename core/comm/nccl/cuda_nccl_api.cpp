// The plug-in libmdgen_nccl.so: NcclApi on the real NCCL and CUDA.
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <optional>

#include "core/comm/nccl/nccl_api.h"

namespace mdgen::comm {
namespace {

using Kind = NcclStatus::Kind;

NcclStatus from_nccl(ncclResult_t result, ncclComm_t communicator, const char* call) {
  if (result == ncclSuccess) return {};
  if (result == ncclInProgress) return {Kind::kInProgress, ""};
  const bool peer = result == ncclRemoteError || result == ncclSystemError;
  std::string text = std::string(call) + ": " + ncclGetErrorString(result);
  const char* last = ncclGetLastError(communicator);
  if (last != nullptr && *last != '\0') text += std::string(" (") + last + ")";
  return {peer ? Kind::kPeerLost : Kind::kFailed, text};
}

NcclStatus from_cuda(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return {};
  if (result == cudaErrorNotReady) return {Kind::kInProgress, ""};
  return {Kind::kFailed, std::string(call) + ": " + cudaGetErrorString(result)};
}

std::optional<ncclDataType_t> nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kHalf:
      return ncclFloat16;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kLong:
      return ncclInt64;
    case at::kInt:
      return ncclInt32;
    case at::kChar:
      return ncclInt8;
    case at::kByte:
      return ncclUint8;
    default:
      return std::nullopt;
  }
}

NcclStatus unsupported(at::ScalarType type) {
  return {Kind::kFailed, std::string("element type ") + c10::toString(type) + " is not supported by NCCL"};
}

NcclStatus make_event(NcclApi::Event& event) {
  cudaEvent_t raw = nullptr;
  const cudaError_t result = cudaEventCreateWithFlags(&raw, cudaEventDisableTiming);
  if (result != cudaSuccess) return from_cuda(result, "cudaEventCreateWithFlags");
  event = NcclApi::Event(raw, [](void* handle) { cudaEventDestroy(static_cast<cudaEvent_t>(handle)); });
  return {};
}

cudaEvent_t raw(const NcclApi::Event& event) { return static_cast<cudaEvent_t>(event.get()); }

class CudaNcclApi : public NcclApi {
 public:
  explicit CudaNcclApi(int device)
      : device_(static_cast<c10::DeviceIndex>(device)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device_)) {}

  NcclStatus make_unique_id(std::string& id) override {
    ncclUniqueId unique;
    const ncclResult_t result = ncclGetUniqueId(&unique);
    id.assign(unique.internal, sizeof(unique.internal));
    return from_nccl(result, nullptr, "ncclGetUniqueId");
  }

  NcclStatus init(Communicator& communicator, int world_size, const std::string& id, int rank) override {
    ncclUniqueId unique;
    if (id.size() != sizeof(unique.internal)) {
      return {Kind::kFailed, "rank 0 posted an id of " + std::to_string(id.size()) + " bytes, not " +
                                 std::to_string(sizeof(unique.internal))};
    }
    std::memcpy(unique.internal, id.data(), id.size());
    const c10::cuda::CUDAGuard guard(device_);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t made = nullptr;
    const ncclResult_t result = ncclCommInitRankConfig(&made, world_size, unique, rank, &config);
    communicator = made;
    return from_nccl(result, made, "ncclCommInitRankConfig");
  }

  NcclStatus async_state(Communicator communicator) override {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(comm(communicator), &state);
    return from_nccl(result != ncclSuccess ? result : state, comm(communicator), "ncclCommGetAsyncError");
  }

  NcclStatus all_reduce(Communicator communicator, const at::Tensor& tensor) override {
    return launch(tensor, [&](ncclDataType_t type) {
      return from_nccl(ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), count(tensor), type, ncclSum,
                                     comm(communicator), stream_.stream()),
                       comm(communicator), "ncclAllReduce");
    });
  }

  NcclStatus broadcast(Communicator communicator, const at::Tensor& tensor, int root) override {
    return launch(tensor, [&](ncclDataType_t type) {
      return from_nccl(ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), count(tensor), type, root,
                                     comm(communicator), stream_.stream()),
                       comm(communicator), "ncclBroadcast");
    });
  }

  NcclStatus all_gather(Communicator communicator, const at::Tensor& input,
                        const at::Tensor& output) override {
    return launch(input, [&](ncclDataType_t type) {
      return from_nccl(ncclAllGather(input.data_ptr(), output.data_ptr(), count(input), type,
                                     comm(communicator), stream_.stream()),
                       comm(communicator), "ncclAllGather");
    });
  }

  NcclStatus all_to_all(Communicator communicator, const at::Tensor& output,
                        const std::vector<std::int64_t>& output_splits, const at::Tensor& input,
                        const std::vector<std::int64_t>& input_splits) override {
    return launch(input, [&](ncclDataType_t type) {
      ncclResult_t result = ncclGroupStart();
      std::int64_t sent = 0;
      std::int64_t received = 0;
      for (std::size_t peer = 0; peer < input_splits.size() && is_fine(result); ++peer) {
        const std::int64_t out = input_splits[peer];
        const std::int64_t in = output_splits[peer];
        if (out > 0) {
          result = ncclSend(at_element(input, sent), static_cast<std::size_t>(out), type,
                            static_cast<int>(peer), comm(communicator), stream_.stream());
        }
        if (in > 0 && is_fine(result)) {
          result = ncclRecv(at_element(output, received), static_cast<std::size_t>(in), type,
                            static_cast<int>(peer), comm(communicator), stream_.stream());
        }
        sent += out;
        received += in;
      }
      const ncclResult_t end = ncclGroupEnd();
      return from_nccl(is_fine(result) ? end : result, comm(communicator), "ncclSend and ncclRecv");
    });
  }

  NcclStatus record(Event& event) override {
    const c10::cuda::CUDAGuard guard(device_);
    NcclStatus status = make_event(event);
    if (status.kind != Kind::kOk) return status;
    return from_cuda(cudaEventRecord(raw(event), stream_.stream()), "cudaEventRecord");
  }

  NcclStatus query(const Event& event) override {
    return from_cuda(cudaEventQuery(raw(event)), "cudaEventQuery");
  }

  NcclStatus finalize(Communicator communicator) override {
    return from_nccl(ncclCommFinalize(comm(communicator)), comm(communicator), "ncclCommFinalize");
  }
  NcclStatus destroy(Communicator communicator) override {
    return from_nccl(ncclCommDestroy(comm(communicator)), nullptr, "ncclCommDestroy");
  }
  NcclStatus abort(Communicator communicator) override {
    return from_nccl(ncclCommAbort(comm(communicator)), nullptr, "ncclCommAbort");
  }

 private:
  static ncclComm_t comm(Communicator communicator) { return static_cast<ncclComm_t>(communicator); }
  static bool is_fine(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }
  static void* at_element(const at::Tensor& tensor, std::int64_t index) {
    return static_cast<char*>(tensor.data_ptr()) + index * static_cast<std::int64_t>(tensor.element_size());
  }
  static std::size_t count(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

  template <typename Call>
  NcclStatus launch(const at::Tensor& tensor, const Call& call) {
    const std::optional<ncclDataType_t> type = nccl_type(tensor.scalar_type());
    if (!type) return unsupported(tensor.scalar_type());
    const c10::cuda::CUDAGuard guard(device_);
    NcclStatus status = follow_current_stream();
    if (status.kind != Kind::kOk) return status;
    return call(*type);
  }

  NcclStatus follow_current_stream() {
    if (!before_) {
      NcclStatus status = make_event(before_);
      if (status.kind != Kind::kOk) return status;
    }
    const cudaStream_t current = c10::cuda::getCurrentCUDAStream(device_).stream();
    NcclStatus status = from_cuda(cudaEventRecord(raw(before_), current), "cudaEventRecord");
    if (status.kind != Kind::kOk) return status;
    return from_cuda(cudaStreamWaitEvent(stream_.stream(), raw(before_), 0), "cudaStreamWaitEvent");
  }

  const c10::DeviceIndex device_;
  c10::cuda::CUDAStream stream_;
  Event before_;
};

}  // namespace
}  // namespace mdgen::comm

extern "C" __attribute__((visibility("default"))) void mdgen_make_nccl_api(
    int device, std::unique_ptr<mdgen::comm::NcclApi>* api) {
  *api = std::make_unique<mdgen::comm::CudaNcclApi>(device);
}
