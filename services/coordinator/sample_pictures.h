// What the dashboard draws of a job's samples: backbone angles and fluctuations beside those of the data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "mdgen/v1/job.pb.h"

namespace mdgen::coordinator {

// A trajectory that a validation has written into the run folder: epoch{E}_{name}.pdb (docs/sampling.md).
struct SampleFile {
  std::string file;  // its name in the run folder
  std::string name;  // entry and replica
  std::int64_t epoch = 0;
  bool operator==(const SampleFile&) const = default;
};

// The latest epoch first, at most `most`. Empty when there is no such folder. Links are not followed.
std::vector<SampleFile> list_samples(const std::filesystem::path& run_folder, std::size_t most = 200);

// Thread-safe. One picture is made at a time; the last ones are kept.
class SamplePictures {
 public:
  // {"samples": [{file, name, epoch}], "picture": null, or of `file` (empty: of the latest)
  //   {file, frames, residues, ramachandran: {bins, counts, total}, rmsf: [Å by residue], jensen_shannon,
  //   note,
  //    training: null, or {source, frames, ramachandran, rmsf: null, or as above}}}
  // `counts` in rows by psi, columns by phi, from -180 degrees on. The data's `rmsf` is the mean over windows
  // of as many frames as the sample has. Without data that can be read, `note` says why.
  // Throws Error: kNotFound (no such sample), and what format::read_backbone throws.
  std::string get(const v1::Job& job, const std::string& file);

 private:
  struct Kept {
    std::string key;
    std::string json;
  };
  std::string picture(const v1::Job& job, const SampleFile& sample);

  std::mutex mutex_;
  std::list<Kept> kept_;  // the last used one first
};

}  // namespace mdgen::coordinator
