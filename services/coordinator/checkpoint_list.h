// The checkpoints of a run folder, for clients.
#pragma once

#include <filesystem>

#include "mdgen/v1/job_service.pb.h"

namespace mdgen::coordinator {

// The newest first. Names, manifests and sizes are looked at, no content. A folder without checkpoints has
// none; one that is removed meanwhile is left out.
v1::ListCheckpointsResponse list_checkpoints(const std::filesystem::path& run_folder);

}  // namespace mdgen::coordinator
