// The spec that a command line means.
#pragma once

#include "core/config/spec.h"
#include "services/client/surroundings.h"
#include "services/client/verbs.h"

namespace mdgen::client {

// `base`, then the file, then the flags, then the assignments: the later wins. Throws UsageError.
config::Resolved resolved_spec(const Options& options, const Surroundings& world,
                               const config::JobSpec& base = {});

}  // namespace mdgen::client
