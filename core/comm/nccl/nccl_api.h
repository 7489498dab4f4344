// NCCL and the few CUDA calls around it behind one abstract class, so that the logic above can be tested with
// a mock, and so that only the plug-in links CUDA.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

namespace mdgen::comm {

struct NcclStatus {
  enum class Kind {
    kOk,
    kInProgress,  // ask async_state() again, or query() for an event
    kPeerLost,    // network or remote process
    kFailed,
  };
  Kind kind = Kind::kOk;
  std::string text;  // what NCCL or CUDA says, for kPeerLost and kFailed
};

// Not thread-safe: the caller serialises. No call blocks on a peer. Operations run on a stream of their own,
// behind all that the current stream holds at the call.
class NcclApi {
 public:
  using Communicator = void*;
  using Event = std::shared_ptr<void>;

  virtual ~NcclApi() = default;

  // The id by which ranks find each other: made by one rank, given to all.
  [[nodiscard]] virtual NcclStatus make_unique_id(std::string& id) = 0;
  // Begins to form a communicator; async_state() tells when it is ready. `communicator` may be set even when
  // the call fails, and must be aborted then.
  [[nodiscard]] virtual NcclStatus init(Communicator& communicator, int world_size, const std::string& id,
                                        int rank) = 0;
  [[nodiscard]] virtual NcclStatus async_state(Communicator communicator) = 0;

  // Tensors are contiguous and on the device.
  [[nodiscard]] virtual NcclStatus all_reduce(Communicator communicator, const at::Tensor& tensor) = 0;
  [[nodiscard]] virtual NcclStatus broadcast(Communicator communicator, const at::Tensor& tensor,
                                             int root) = 0;
  // `output` is (world size, …input's shape); `input` may be a part of it, this rank's own.
  [[nodiscard]] virtual NcclStatus all_gather(Communicator communicator, const at::Tensor& input,
                                              const at::Tensor& output) = 0;
  // As Collective::all_to_all_async.
  [[nodiscard]] virtual NcclStatus all_to_all(Communicator communicator, const at::Tensor& output,
                                              const std::vector<std::int64_t>& output_splits,
                                              const at::Tensor& input,
                                              const std::vector<std::int64_t>& input_splits) = 0;

  // A mark behind the operations enqueued so far, and whether the device has passed it.
  [[nodiscard]] virtual NcclStatus record(Event& event) = 0;
  [[nodiscard]] virtual NcclStatus query(const Event& event) = 0;

  // finalize: begins an orderly end, async_state() tells when it is reached; then destroy.
  [[nodiscard]] virtual NcclStatus finalize(Communicator communicator) = 0;
  [[nodiscard]] virtual NcclStatus destroy(Communicator communicator) = 0;
  // Ends everything at once and frees the communicator, whatever its state.
  [[nodiscard]] virtual NcclStatus abort(Communicator communicator) = 0;
};

}  // namespace mdgen::comm
