// What the modes ask of a protein's length. No LibTorch.
#pragma once

#include <cstdint>
#include <string>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::data {

// "" when a protein of this many residues suits the spec's modes, else why not. A sample shows the protein
// whole, under atlas `crop` residues of it, padded when it has fewer.
std::string length_problem(const v1::JobSpec& resolved, std::int32_t residues);

}  // namespace mdgen::data
