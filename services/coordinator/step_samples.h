// The samples of a step, by entry: what a poison step is made of.
#pragma once

#include <cstdint>
#include <string>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::coordinator {

// "4ake_A (virtual sample 7), …", at most 8 of them; why not when the plan cannot tell. Never throws.
std::string step_samples(const v1::JobSpec& spec, const v1::JobManifest& manifest, std::int64_t step);

}  // namespace mdgen::coordinator
