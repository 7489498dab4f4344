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

// Of a run folder, whether it is there yet or not: neither it nor the folders in it may lead out of the run
// roots. Throws Error(kInvalidArgument).
void check_run_folder(const std::filesystem::path& folder, const Roots& roots);

}  // namespace mdgen::coordinator
