#include "core/comm/collective.h"

#include "core/base/error.h"
#include "core/comm/gloo/gloo_collective.h"
#include "core/comm/local/local_group.h"
#include "core/comm/mpi/mpi_collective.h"
#include "core/comm/nccl/plugin.h"

namespace mdgen::comm {

std::unique_ptr<Collective> make_collective(const CollectiveOptions& options, const Exchange& exchange) {
  if (options.world_size < 1 || options.rank < 0 || options.rank >= options.world_size) {
    throw Error(ErrorCode::kInvalidArgument, "rank " + std::to_string(options.rank) + " of world size " +
                                                 std::to_string(options.world_size) +
                                                 ": ranks are 0 to world size - 1");
  }
  const bool by_device = options.backend.empty() || options.backend == "auto";
  const std::string fitting = options.device.is_cuda() ? "nccl" : "gloo";
  const std::string backend = by_device ? fitting : options.backend;
  if (backend != "gloo" && backend != "nccl" && backend != "mpi") {
    throw Error(ErrorCode::kInvalidArgument,
                "backend = \"" + backend + "\"; there are auto, gloo, nccl and mpi");
  }
  if ((backend == "nccl") != options.device.is_cuda()) {
    throw Error(ErrorCode::kFailedPrecondition,
                "backend = \"" + backend + "\" cannot work on rank " + std::to_string(options.rank) +
                    "'s device " + options.device.str() + ": " +
                    (backend == "nccl" ? "NCCL needs GPUs" : "it moves tensors of CPUs only"));
  }
  if (backend == "nccl") return make_nccl(options, exchange);
  if (backend == "mpi") return make_mpi(options, exchange);
  if (options.world_size == 1) return std::move(make_local_group(1).front());
  return make_gloo(options, exchange);
}

}  // namespace mdgen::comm
