// The part of a data set that a sampled trajectory is compared with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/format/backbone_pdb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::coordinator {

struct DataWindows {
  std::string source;       // the entry, "4ake_A", with the replica where one is meant
  std::int64_t frames = 0;  // of one window
  // (frames, residues) each
  std::vector<std::vector<format::BackboneAtoms>> windows;
  std::string note;  // for people, where the comparison is not one of like with like; empty: it is
  bool same_residues = true;
};

// What to compare with the sample `name` ("4ake_A_R1", as training names its samples: entry and replica) of
// so many frames and this sequence (one letter each; part of the entry's, where the training crops): windows
// of as many frames at `stride`, evenly over the entry's replicas; about 1,000 frames in all. Looks at the
// validation set first. A sequence that the entry has not (a designed one) is compared with all of its
// residues. Throws Error(kNotFound) when the data sets have no such entry, and what data::read_block throws.
DataWindows read_data_windows(const v1::JobManifest& manifest, const std::filesystem::path& data_dir,
                              const std::string& name, const std::string& sequence, std::int64_t frames,
                              std::int32_t stride);

}  // namespace mdgen::coordinator
