// What ranks do together. One implementation a folder: gloo/ (CPU), nccl/ (CUDA, a plug-in that is loaded on
// demand), local/ (world size 1, and threads of one process in tests). Upper layers include only this header.
//
// Thread contract: one thread calls the operations, in the same order on every rank; abort() may be called
// from any other thread at any time. Errors: operations throw CollectiveError(kUnavailable) naming the
// operation when a peer is gone and CollectiveError(kAborted) after abort(); after either the object is of no
// further use.
#pragma once

#include <torch/torch.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace mdgen::comm {

// The group's trouble, not the caller's: what the caller computes may go on in another group.
class CollectiveError : public Error {
 public:
  using Error::Error;
};

// An operation that is under way.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void wait() = 0;
};

// Elements for or from each rank.
using Splits = std::vector<std::int64_t>;

class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual bool supports_abort() const = 0;

  // Sum in place over all ranks; the tensor is contiguous, lies on the backend's device, and may be empty.
  virtual std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) = 0;
  void all_reduce(at::Tensor tensor) { all_reduce_async(std::move(tensor))->wait(); }
  // In place, from `root`.
  virtual void broadcast(at::Tensor tensor, int root) = 0;
  // result[r] = rank r's tensor; equal shapes on all ranks.
  virtual std::vector<at::Tensor> all_gather(const at::Tensor& tensor) = 0;
  // The same into one tensor: `output` has world size x input's elements, by rank. `input` may be the part of
  // `output` that is this rank's own.
  virtual void all_gather_into(at::Tensor output, const at::Tensor& input) = 0;
  // Sends the first input_splits[0] elements of `input` to rank 0, the next input_splits[1] to rank 1 and so
  // on, and receives output_splits[r] elements from rank r into `output`, in the order of ranks. Both have
  // one dimension, are contiguous, do not overlap and stay untouched until wait(). Any split may be 0.
  virtual std::unique_ptr<Pending> all_to_all_async(at::Tensor output, Splits output_splits, at::Tensor input,
                                                    Splits input_splits) = 0;
  virtual void barrier() = 0;
  virtual void abort(const std::string& reason) = 0;
};

// Posts this rank's blob under `key` and returns every rank's, by rank. Throws Error(kAborted) when the
// generation is superseded. In a service run this is the coordinator's Exchange RPC; in tests a map in
// memory.
using Exchange = std::function<std::vector<std::string>(const std::string& key, const std::string& blob)>;

struct CollectiveOptions {
  int rank = 0;
  int world_size = 1;
  std::string bind_address = "127.0.0.1";             // Gloo listens here, on a free port
  std::chrono::milliseconds timeout{1'800'000};       // of one operation
  std::chrono::milliseconds forming_timeout{60'000};  // until every rank is connected
  at::Device device = at::kCPU;
  // Asked again and again while NCCL's or MPI's group forms: true ends that with Error(kAborted). Gloo's own
  // connecting can only be left to its timeout.
  std::function<bool()> cancelled{};
  std::string backend = "auto";  // or "gloo", "nccl", "mpi"
};

// auto: Gloo on the CPU, NCCL on CUDA; world size 1 on the CPU needs no backend. Throws
// Error(kFailedPrecondition) when the backend cannot work on the device, Error(kUnavailable) when a rank did
// not come within forming_timeout, and what `exchange` throws.
std::unique_ptr<Collective> make_collective(const CollectiveOptions& options, const Exchange& exchange);

// Loads LibTorch's CUDA part, so that tensors on at::kCUDA work; afterwards it is a no-op. Call it before the
// first question to torch::cuda (LibTorch remembers the answer "no CUDA"). Throws Error(kFailedPrecondition)
// naming the library that is missing, or the absence of a device.
void load_cuda();

}  // namespace mdgen::comm
