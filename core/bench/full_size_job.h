// The job whose parts are measured unless the command line says otherwise.
#pragma once

#include <filesystem>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::bench {

// Forward simulation with the schema's full-size model, not resolved yet. split.csv and the arrays lie, or
// would lie, in `folder`, which is the work folder too.
v1::JobSpec full_size_job(const std::filesystem::path& folder);

}  // namespace mdgen::bench
