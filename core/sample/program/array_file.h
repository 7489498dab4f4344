// Frames of one protein's array. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mdgen/v1/manifest.pb.h"

namespace mdgen::sample {

class ArrayFile {
 public:
  // Throws Error naming the file: absent, no .npy of float16 or float32 [frames, residues, 14, 3], another
  // number of residues than the sequence has, no frame.
  ArrayFile(const std::filesystem::path& file, std::int32_t residues);

  std::int64_t frames() const { return replica_.frames(); }
  std::string name() const { return file_.string(); }

  // `count` frames from `first` on, every `stride`-th, as float32 (count, residues, 14, 3) in Å. Throws Error
  // naming file, frame and residue for a coordinate that is not finite and a residue without N, CA or C.
  std::vector<float> read(std::int64_t first, std::int64_t count, std::int64_t stride = 1) const;

 private:
  std::filesystem::path file_;
  std::int32_t residues_;
  v1::Replica replica_;
};

}  // namespace mdgen::sample
