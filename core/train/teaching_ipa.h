// What the prepended IPA gives, for people who want to look at it: one .npy file a sample and flow time.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

// A flow time as Python prints it: the shortest decimal that reads back as the same number of its type, with
// a point ("0.25", "1.0"), below 1e-4 with an exponent.
std::string flow_time_text(float t);
std::string flow_time_text(double t);

// Writes <folder>/<t>.npy: float32 (1, L, C), L the sample's real residues. A later sample at the same t
// replaces the file. Files appear whole. Trouble with the folder or the disk is warned of once and ends the
// writing, never the run. Not thread-safe; ranks may share a folder.
class TeachingIpa {
 public:
  TeachingIpa(std::filesystem::path folder, std::int64_t max_files);  // max_files 0: no limit

  // t (B) floating; ipa_output (B, L, C); mask (B, L), 0 on padding.
  void write(const at::Tensor& t, const at::Tensor& ipa_output, const at::Tensor& mask);
  std::int64_t written() const { return written_; }

 private:
  void write_sample(const std::string& name, const at::Tensor& values);  // (L, C) float32 on the host

  std::filesystem::path folder_;
  std::int64_t max_files_;
  std::int64_t written_ = 0;
  bool broken_ = false;
};

}  // namespace mdgen::train
