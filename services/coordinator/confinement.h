// Where the paths of a spec may lead.
#pragma once

#include <filesystem>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::coordinator {

// Empty: anywhere.
struct Roots {
  std::vector<std::filesystem::path> run;   // run folders, and what else a job writes
  std::vector<std::filesystem::path> data;  // what it reads; so it may below the run roots
};

// All paths but work_dir, whose run folder inspect_run_folder looks at. Links are resolved as far as they
// exist here. Throws Error(kInvalidArgument), which names the field, the path, where it leads and the roots.
void check_paths(const v1::JobSpec& spec, const Roots& roots);

// When a run folder is there: neither it nor its folders may lead out of the run roots. Throws
// Error(kFailedPrecondition).
void check_made_folder(const std::filesystem::path& folder, const Roots& roots);

}  // namespace mdgen::coordinator
