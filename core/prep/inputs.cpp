#include "core/prep/inputs.h"

#include <algorithm>

#include "core/base/error.h"

namespace mdgen::prep {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void missing(const std::string& text) { throw Error(ErrorCode::kNotFound, text); }

std::vector<fs::path> replica_files(const fs::path& folder, const std::string& name, int replica) {
  const std::string number = std::to_string(replica);
  return {folder / (name + "_prod_R" + number + "_fit.xtc"), folder / (name + "_R" + number + ".xtc")};
}

}  // namespace

fs::path output_file(const fs::path& outdir, const std::string& name, std::optional<int> replica,
                     const std::string& suffix) {
  return outdir / (name + (replica ? "_R" + std::to_string(*replica) : "") + suffix + ".npy");
}

std::vector<std::string> entry_names(const fs::path& sim_dir) {
  if (!fs::is_directory(sim_dir)) missing(sim_dir.string() + ": no such folder");
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(sim_dir))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  if (names.empty()) missing(sim_dir.string() + ": it has no sub-folders; one for each entry is expected");
  std::sort(names.begin(), names.end());
  return names;
}

Entry locate(const fs::path& sim_dir, const std::string& name, bool atlas, const fs::path& outdir,
             const std::string& suffix) {
  constexpr int kReplicas = 3;
  const fs::path folder = sim_dir / name;
  Entry entry{name, folder / (name + ".pdb"), {}};
  if (!fs::is_regular_file(entry.topology)) missing(entry.topology.string() + ": no such file");
  if (!atlas) {
    entry.sources.push_back({folder / (name + ".xtc"), output_file(outdir, name, std::nullopt, suffix)});
    if (!fs::is_regular_file(entry.sources[0].trajectory))
      missing(entry.sources[0].trajectory.string() + ": no such file");
    return entry;
  }
  for (int replica = 1; replica <= kReplicas; ++replica) {
    const std::vector<fs::path> files = replica_files(folder, name, replica);
    const auto found =
        std::find_if(files.begin(), files.end(), [](const fs::path& f) { return fs::is_regular_file(f); });
    if (found != files.end()) entry.sources.push_back({*found, output_file(outdir, name, replica, suffix)});
  }
  if (entry.sources.empty())
    missing(folder.string() + ": no replica; expected " + name + "_prod_R1_fit.xtc (or _R1.xtc), _R2, _R3");
  return entry;
}

}  // namespace mdgen::prep
