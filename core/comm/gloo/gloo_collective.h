// Collectives between processes on CPUs, through c10d::ProcessGroupGloo. Measured behaviour behind the
// design: a lost peer ends the operations of those that read from it within milliseconds, others may stay
// blocked until the first one closes its connections, so the first error of any operation cuts them all.
#pragma once

#include <memory>

#include "core/comm/collective.h"

namespace mdgen::comm {

// Element types: float32, float64, float16, bfloat16, int8, int32, int64, uint8; bool in broadcast and
// all_gather. The process should ignore SIGPIPE: Gloo writes to closed sockets without MSG_NOSIGNAL.
std::unique_ptr<Collective> make_gloo(const CollectiveOptions& options, const Exchange& exchange);

}  // namespace mdgen::comm
