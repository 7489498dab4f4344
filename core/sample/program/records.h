// What is known of a protein's samples: {name}_metadata.json, a list with one record a sample as the
// original's. It appears when all of them are there; until then {name}_progress.json holds the finished ones.
// No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace mdgen::sample {

using Json = nlohmann::ordered_json;

class Records {
 public:
  struct Common {
    Json settings;     // what a sample is a function of: an earlier run's must be the same
    Json information;  // what else is worth knowing
  };

  // Takes over what an earlier run finished; with `overwrite` forgets it instead. Throws Error:
  // kAlreadyExists when that had other settings, naming them; kDataLoss for a file that is no such list.
  Records(std::filesystem::path folder, std::string name, Common common, bool overwrite);

  // Whether this sample is finished and its files are there.
  bool has(std::uint32_t sample) const;
  // Whether all of `samples` are, and published.
  bool complete(std::uint32_t samples) const;

  // `own` is what is the sample's own; "path" and whatever ends in "path" name its files.
  void add(std::uint32_t sample, const Json& own);
  void save_progress() const;
  void publish();

 private:
  std::filesystem::path metadata() const { return folder_ / (name_ + "_metadata.json"); }
  std::filesystem::path progress() const { return folder_ / (name_ + "_progress.json"); }
  void take_over(const std::filesystem::path& file);
  std::string text() const;

  std::filesystem::path folder_;
  std::string name_;
  Common common_;
  std::map<std::uint32_t, Json> finished_;
  bool published_ = false;
};

}  // namespace mdgen::sample
