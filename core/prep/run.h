// The whole of mdgen-prep behind its flags.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/prep/convert.h"
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
  std::string suffix;
  bool atlas = false;
  int replica = 1;  // of `trajectory` under `atlas`
  bool skip_existing = false;
  int num_workers = 1;
  SelectionRules rules;
  ConvertOptions convert;
};

// Converts every entry, each all or nothing, and reports through the log. False when an entry failed; the
// others are written all the same. Throws Error when there is nothing to begin with: an unreadable folder or
// split, a name that the split lacks.
bool run(const RunOptions& options);

}  // namespace mdgen::prep
