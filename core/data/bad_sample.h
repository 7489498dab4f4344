// A sample of the plan that cannot be used.
#pragma once

#include <cstdint>
#include <string>

namespace mdgen::data {

// Left out of its batch (data.on_bad_sample: skip).
struct BadSample {
  std::uint32_t virtual_sample = 0;
  std::string reason;  // names the file
};

}  // namespace mdgen::data
