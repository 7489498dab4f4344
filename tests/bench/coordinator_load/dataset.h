// A data set that only has headers: as many entries as atlas_train, in sparse files.
#pragma once

#include <filesystem>

namespace mdgen::load {

struct Dataset {
  std::filesystem::path split;     // name,seqres
  std::filesystem::path data_dir;  // three replicas an entry, all coordinates 0
};

// Lengths lie between 38 and 1,144 residues, as those of atlas_train.
Dataset write_dataset(const std::filesystem::path& folder, int entries);

}  // namespace mdgen::load
