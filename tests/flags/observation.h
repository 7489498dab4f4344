// What of a tiny training run can be compared: named texts, equal when the thing is equal bit for bit.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::flags {

// Names of observables. Tensors are compared by type, shape and bytes.
using Observation = std::map<std::string, std::string>;

// Plans, reads, prepares, trains and looks at the run folder. What the spec refuses is observed as "refused".
Observation observe(const v1::JobSpec& resolved, const std::vector<std::string>& warnings);

// The observables in which two runs differ.
std::set<std::string> differences(const Observation& a, const Observation& b);

}  // namespace mdgen::flags
