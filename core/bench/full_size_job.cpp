#include "core/bench/full_size_job.h"

#include <string>

#include "core/config/spec.h"

namespace mdgen::bench {

v1::JobSpec full_size_job(const std::filesystem::path& folder) {
  v1::JobSpec spec;
  for (const std::string& assignment :
       {std::string("name=bench"), "work_dir=" + folder.string(),
        "train_split=" + (folder / "split.csv").string(), "data_dir=" + folder.string(),
        std::string("atlas=true"), std::string("sim_condition=true"), std::string("prepend_ipa=true"),
        std::string("no_validate=true")})
    config::apply_assignment(spec, assignment);
  return spec;
}

}  // namespace mdgen::bench
