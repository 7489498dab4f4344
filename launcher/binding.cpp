#include "launcher/binding.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/log.h"

namespace mdgen::launcher {

bool bound_by_default(const Environment& environment) {
  const auto mapping = environment.find("OMPI_MCA_rmaps_base_mapping_policy");
  const bool cores_asked_for =
      mapping != environment.end() &&
      (mapping->second.find("PE=") != std::string::npos || mapping->second.find("pe=") != std::string::npos);
  return environment.contains("OMPI_MCA_orte_bound_at_launch") &&
         !environment.contains("OMPI_MCA_hwloc_base_binding_policy") && !cores_asked_for;
}

void widen_binding(const Environment& environment) {
  if (!bound_by_default(environment)) return;
  cpu_set_t parents;
  if (::sched_getaffinity(::getppid(), sizeof parents, &parents) != 0 ||
      ::sched_setaffinity(0, sizeof parents, &parents) != 0) {
    spdlog::warn("cannot leave the CPUs that mpirun bound this process to: {}", std::strerror(errno));
  }
}

}  // namespace mdgen::launcher
