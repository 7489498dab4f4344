// Which modes and flags go together.
#pragma once

#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::config {

// Why a resolved spec cannot run, a sentence a reason: combinations that the reference fails on, or that it
// silently trains as something else. What depends on the proteins' lengths is in core/data/mode_limits.h.
std::vector<std::string> refused_combinations(const v1::JobSpec& resolved);

// Flags of modes and losses that are set and change nothing beside the others, a sentence each.
std::vector<std::string> idle_flags(const v1::JobSpec& resolved);

}  // namespace mdgen::config
