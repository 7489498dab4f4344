// Which files belong to an entry, and how its arrays are called.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mdgen::prep {

struct Source {
  std::filesystem::path trajectory;
  std::filesystem::path output;
};

struct Entry {
  std::string name;
  std::filesystem::path topology;
  std::vector<Source> sources;  // one a replica
};

// {outdir}/{name}_R{replica}{suffix}.npy, without replica {outdir}/{name}{suffix}.npy.
std::filesystem::path output_file(const std::filesystem::path& outdir, const std::string& name,
                                  std::optional<int> replica, const std::string& suffix);

// The names of the sub-folders of `sim_dir`, sorted. Throws Error when there are none.
std::vector<std::string> entry_names(const std::filesystem::path& sim_dir);

// {sim_dir}/{name}/{name}.pdb with {name}.xtc, under `atlas` with {name}_prod_R{1,2,3}_fit.xtc or
// {name}_R{1,2,3}.xtc, of which those present are taken. Throws Error(kNotFound) naming what is missing.
Entry locate(const std::filesystem::path& sim_dir, const std::string& name, bool atlas,
             const std::filesystem::path& outdir, const std::string& suffix);

}  // namespace mdgen::prep
