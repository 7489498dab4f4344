// The logic of collectives over NCCL, on top of NcclApi.
//
// An aborted NCCL kernel leaves garbage in its buffers, so an operation counts as done only after the host
// saw the device pass its end and then found neither an abort nor an error of the communicator. Every wait
// polls, and holds the lock for single non-blocking calls only: abort() acts at once.
#pragma once

#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/comm/nccl/nccl_api.h"

namespace mdgen::comm {

struct NcclTiming {
  std::shared_ptr<const Clock> clock;  // nothing: the system's
  std::function<void()> pause;         // between two polls; nothing: a few microseconds
};

// Element types: those of the API. Unfinished operations at destruction abort the communicator.
std::unique_ptr<Collective> make_nccl_collective(std::shared_ptr<NcclApi> api,
                                                 const CollectiveOptions& options, const Exchange& exchange,
                                                 NcclTiming timing = {});

}  // namespace mdgen::comm
