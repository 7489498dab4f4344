// Which CPUs a launched process may use.
#pragma once

#include "launcher/environment.h"

namespace mdgen::launcher {

// True when Open MPI's mpirun bound this process by its own default (one core for -n 1 and -n 2), not because
// somebody asked for a binding.
bool bound_by_default(const Environment& environment);

// In that case lets this process use what its parent, mpirun or its daemon, may use: all CPUs of the cgroup,
// or what the batch system left to it. The coordinator shares the CPUs of a host out among its agents.
void widen_binding(const Environment& environment);

}  // namespace mdgen::launcher
