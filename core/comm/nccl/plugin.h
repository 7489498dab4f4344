// The CUDA side, loaded only where it is wanted: programs link neither CUDA nor NCCL.
#pragma once

#include <memory>

#include "core/comm/collective.h"

namespace mdgen::comm {

// NCCL over options.device. Loads LibTorch's CUDA part and libmdgen_nccl.so (in $MDGEN_PLUGIN_DIR, beside the
// program, or in ../lib or ../lib/mdgen from it). Throws Error(kFailedPrecondition) naming what is missing.
std::unique_ptr<Collective> make_nccl(const CollectiveOptions& options, const Exchange& exchange);

}  // namespace mdgen::comm
