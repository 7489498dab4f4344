// Which frames of a protein's array a sample starts and ends with. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mdgen::sample {

struct FramePair {
  std::int64_t start = 0;
  std::int64_t end = 0;
  // What the original's metadata says of the pair beside its frames (start_state, end_state); else empty.
  nlohmann::ordered_json states;
};

// The choice for one protein: either sets, of which each sample draws one start and one end, or pairs, of
// which sample i takes number i mod their count. Frames below 0 count from the array's end.
class Endpoints {
 public:
  static Endpoints sets(std::vector<std::int64_t> start, std::vector<std::int64_t> end);

  // From JSON; `source` names it in errors. Two forms:
  //   {"1abc": {"start_idx": 0, "end_idx": [90, 95]}, …}          sets; a number is a set of one
  //   [{"name": "1abc", "start_idx": 0, "end_idx": 90, …}, …]     pairs: the original's {name}_metadata.json
  // Without `needs_end`, `end_idx` is not read. Throws Error(kInvalidArgument) for another form,
  // Error(kNotFound) when `name` is not there.
  static Endpoints from_json(const std::string& text, const std::string& source, const std::string& name,
                             bool needs_end);

  // `file`, or `{file}/{name}_metadata.json` when it is a folder.
  static Endpoints read(const std::filesystem::path& file, const std::string& name, bool needs_end);

  // Of sample `sample` under `seed`, in an array of `frames` frames. Throws Error(kInvalidArgument) naming
  // the frame that the array does not have.
  FramePair pair(std::uint64_t seed, std::uint32_t sample, std::int64_t frames) const;

 private:
  std::vector<std::int64_t> start_;
  std::vector<std::int64_t> end_;
  std::vector<FramePair> pairs_;
  bool has_end_ = true;
};

// Uniform in 0 … count - 1: a window's first frame.
std::int64_t draw_start(std::uint64_t seed, std::uint32_t sample, std::int64_t count);

}  // namespace mdgen::sample
