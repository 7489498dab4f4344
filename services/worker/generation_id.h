// Generations compared and named.
#pragma once

#include <string>

#include "mdgen/v1/run.pb.h"

namespace mdgen::worker {

inline bool same(const v1::GenerationId& a, const v1::GenerationId& b) {
  return a.job_id() == b.job_id() && a.generation() == b.generation();
}

inline std::string describe(const v1::GenerationId& id) {
  return id.job_id() + " generation " + std::to_string(id.generation());
}

}  // namespace mdgen::worker
