// The whole of mdgen-prep behind its flags.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "core/prep/convert.h"
#include "core/prep/report.h"
#include "core/prep/residues.h"

namespace mdgen::prep {

struct RunOptions {
  std::filesystem::path sim_dir;     // this …
  std::filesystem::path topology;    // … or these two
  std::filesystem::path trajectory;  //
  std::filesystem::path outdir;
  std::vector<std::string> names;     // none: those of `split`, else every sub-folder of `sim_dir`
  std::filesystem::path split;        // "" for none; its sequences are checked
  std::filesystem::path write_split;  // "" for none
  std::filesystem::path report;       // "" for {outdir}/report.json
  std::string suffix;
  bool atlas = false;
  int replica = 1;             // of `trajectory` under `atlas`
  bool force = false;          // convert what is finished once more
  bool skip_existing = false;  // keep arrays that have no record of how they were made
  int num_workers = 1;
  SelectionRules rules;
  ConvertOptions convert;
};

// Converts every entry, each all or nothing, trajectories side by side, and writes report and split. An entry
// that fails ends none of the others. `stop` may become true at any time: what is under way is given up and
// nothing more is begun. Throws Error when there is nothing to begin with: an unreadable folder or split, a
// name that the split lacks.
Report run(const RunOptions& options, const std::atomic<bool>& stop);

}  // namespace mdgen::prep
