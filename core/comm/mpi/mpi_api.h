// The part of MPI that is used, behind an abstract class, so that only the plug-in links MPI and the logic
// above can be tested with a fake. No exceptions: "" is success, otherwise MPI's own text.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mdgen::comm {

// All calls come from one thread. Operations block until this rank's part is done, perhaps for ever when a
// peer is lost. Tensors are contiguous and on the CPU.
class MpiApi {
 public:
  using Communicator = std::shared_ptr<void>;

  virtual ~MpiApi() = default;

  // Once a process.
  virtual std::string init(int& rank, int& world_size) = 0;
  virtual std::string finalize() = 0;
  // A communicator of its own over all processes; every process must call it.
  virtual std::string make_communicator(Communicator& communicator) = 0;

  virtual std::string all_reduce(const Communicator& communicator, const at::Tensor& tensor) = 0;
  virtual std::string broadcast(const Communicator& communicator, const at::Tensor& tensor, int root) = 0;
  // As Collective's; `input` may be this rank's part of `output`.
  virtual std::string all_gather(const Communicator& communicator, const at::Tensor& output,
                                 const at::Tensor& input) = 0;
  virtual std::string all_to_all(const Communicator& communicator, const at::Tensor& output,
                                 const std::vector<std::int64_t>& output_splits, const at::Tensor& input,
                                 const std::vector<std::int64_t>& input_splits) = 0;
  virtual std::string barrier(const Communicator& communicator) = 0;
};

}  // namespace mdgen::comm
