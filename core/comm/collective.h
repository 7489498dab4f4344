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

// A reduction that is under way.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void wait() = 0;
};

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
};

// Gloo on the CPU, NCCL on CUDA; world size 1 on the CPU needs no backend. Throws Error(kUnavailable) when a
// rank did not come within forming_timeout, and what `exchange` throws.
std::unique_ptr<Collective> make_collective(const CollectiveOptions& options, const Exchange& exchange);

// Loads LibTorch's CUDA part, so that tensors on at::kCUDA work; afterwards it is a no-op. Call it before the
// first question to torch::cuda (LibTorch remembers the answer "no CUDA"). Throws Error(kFailedPrecondition)
// naming the library that is missing, or the absence of a device.
void load_cuda();

}  // namespace mdgen::comm
