#include <filesystem>

#include "core/base/error.h"
#include "core/checkpoint/store.h"
#include "core/config/json.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> checkpoints_below(fs::path folder) {
  if (checkpoint::parse_folder_name(folder.filename().string())) return {folder};
  if (fs::is_directory(folder / "checkpoints")) folder /= "checkpoints";
  return checkpoint::list(folder);
}

struct Row {
  fs::path folder;
  std::optional<checkpoint::Manifest> manifest;  // nothing: bad
  std::string problem;
};

Row check(const fs::path& folder) {
  try {
    return {folder, checkpoint::verify(folder), ""};
  } catch (const std::exception& error) {
    return {folder, std::nullopt, error.what()};
  }
}

std::string table_line(const Row& row) {
  const std::string name = row.folder.filename().string();
  if (!row.manifest) return name + "  BAD   " + one_line(row.problem) + "\n";
  std::int64_t bytes = 0;
  for (const checkpoint::FileRecord& file : row.manifest->files) bytes += file.bytes;
  return name + "  good  step " + std::to_string(row.manifest->summary.step) + ", " +
         std::to_string(row.manifest->files.size()) + " files, " + std::to_string(bytes) + " bytes\n";
}

config::Json json_row(const Row& row) {
  config::Json json = {{"folder", row.folder.string()}, {"good", row.manifest.has_value()}};
  if (row.manifest)
    json["step"] = row.manifest->summary.step;
  else
    json["problem"] = row.problem;
  return json;
}

void print_json(const config::Json& json, const Options& options, std::ostream& out) {
  out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json));
}

}  // namespace

fs::path named_folder(const Options& options, const Surroundings& world) {
  const fs::path folder = world.current_folder / options.job;
  if (fs::is_directory(folder)) return fs::weakly_canonical(folder);
  if (options.job.find('/') != std::string::npos) throw UsageError("there is no folder " + folder.string());
  const fs::path run_folder = open_api(options, world)->get(options.job).run_folder();
  if (!fs::is_directory(run_folder)) {
    throw Error(ErrorCode::kNotFound, "the run folder " + run_folder.string() + " is not on this machine");
  }
  return run_folder;
}

ExitCode list_checkpoints(const Options& options, const Surroundings& world) {
  config::Json rows = config::Json::array();
  for (const fs::path& folder : checkpoints_below(named_folder(options, world))) {
    const checkpoint::Name name = checkpoint::parse_folder_name(folder.filename().string()).value();
    if (options.output == Output::kTable) world.out << folder.string() << "  step " << name.step << '\n';
    rows.push_back({{"folder", folder.string()}, {"step", name.step}, {"generation", name.generation}});
  }
  if (options.output != Output::kTable) print_json({{"checkpoints", rows}}, options, world.out);
  return kExitOk;
}

ExitCode verify_checkpoints(const Options& options, const Surroundings& world) {
  int good = 0;
  int bad = 0;
  config::Json rows = config::Json::array();
  for (const fs::path& folder : checkpoints_below(named_folder(options, world))) {
    const Row row = check(folder);
    ++(row.manifest ? good : bad);
    rows.push_back(json_row(row));
    if (options.output == Output::kTable) world.out << table_line(row) << std::flush;
  }
  if (options.output == Output::kTable) {
    world.out << "checkpoints: " << good << " good, " << bad << " bad\n";
  } else {
    print_json({{"good", good}, {"bad", bad}, {"checkpoints", rows}}, options, world.out);
  }
  if (rows.empty()) world.err << "mdgenctl: " << options.job << " has no checkpoint" << std::endl;
  return bad == 0 && good > 0 ? kExitOk : kExitFailed;
}

}  // namespace mdgen::client
