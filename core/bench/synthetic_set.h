// A data set for measuring: the sizes of a real one, made up coordinates.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mdgen::bench {

struct SyntheticSet {
  int entries = 8;
  std::int64_t frames = 251;
  int residues = 351;
  std::string dtype = "float16";  // or "float32"
};

// Writes split.csv and, with one replica each, NAME_R1.npy into `folder`. Chains that move; every atom of a
// residue type is there. The same set gives the same bytes.
void write_synthetic_set(const std::filesystem::path& folder, const SyntheticSet& set);

// A folder of its own, removed at its end.
class ScratchFolder {
 public:
  // Throws Error naming `parent` when nothing can be made there.
  explicit ScratchFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path());
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mdgen::bench
