#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/listing.h"
#include "core/checkpoint/retention.h"
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

using checkpoint::Listed;

std::string state_of(const Listed& row) {
  if (!row.manifest) return "BAD: " + one_line(row.problem);
  return row.pinned ? "complete, being read" : "complete";
}

double age_of(const Listed& row) {
  if (!row.written_at) return 0;
  return std::chrono::duration<double>(std::chrono::system_clock::now() - *row.written_at).count();
}

std::string table_head() {
  return fmt::format("{:<24} {:>9} {:>5} {:>7} {:>10} {:>10}  {}\n", "NAME", "STEP", "GEN", "AGE", "MB",
                     "VAL_LOSS", "STATE");
}

// `age` and `bytes` below 0: unknown.
std::string table_row(const std::string& name, std::int64_t step, std::int64_t generation, double age,
                      std::int64_t bytes, std::optional<double> val_loss, const std::string& state) {
  return fmt::format("{:<24} {:>9} {:>5} {:>7} {:>10} {:>10}  {}\n", one_line(name), step, generation,
                     age < 0 ? "-" : duration_text(age),
                     bytes < 0 ? "-" : fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6),
                     val_loss ? fmt::format("{:.6g}", *val_loss) : "-", state);
}

std::string table_of(const std::vector<Listed>& rows) {
  std::string text = table_head();
  for (const Listed& row : rows) {
    text += table_row(row.folder.filename().string(), row.name.step, row.name.generation, age_of(row),
                      row.manifest ? row.manifest->bytes() : -1,
                      row.manifest ? row.manifest->summary.val_loss : std::nullopt, state_of(row));
  }
  return text;
}

config::Json json_of(const Listed& row) {
  config::Json json = {{"folder", row.folder.string()},        {"step", row.name.step},
                       {"generation", row.name.generation},    {"age_seconds", age_of(row)},
                       {"complete", row.manifest.has_value()}, {"pinned", row.pinned}};
  if (!row.manifest) {
    json["problem"] = row.problem;
    return json;
  }
  json["bytes"] = row.manifest->bytes();
  if (const auto loss = row.manifest->summary.val_loss) json["val_loss"] = *loss;
  return json;
}

// By folder name or step; of several generations of a step the newest.
fs::path find(const std::vector<fs::path>& all, const std::string& named) {
  for (const fs::path& folder : all) {
    const checkpoint::Name name = checkpoint::parse_folder_name(folder.filename().string()).value();
    if (folder.filename() == named || std::to_string(name.step) == named) return folder;
  }
  throw UsageError("there is no checkpoint " + named);
}

// As list_checkpoints shows those that this machine sees.
std::string table_of(const v1::ListCheckpointsResponse& list, WallTime now) {
  std::string text = table_head();
  for (const v1::CheckpointInfo& one : list.checkpoints()) {
    text += table_row(one.name(), one.step(), one.generation(),
                      one.has_written_at() ? std::max(0.0, age_seconds(one.written_at(), now)) : -1,
                      one.bytes(), one.has_val_loss() ? std::optional(one.val_loss()) : std::nullopt,
                      one.problem().empty() ? "complete" : "BAD: " + one_line(one.problem()));
  }
  return text;
}

config::Json json_of(const v1::CheckpointInfo& one, WallTime now) {
  config::Json json = {{"folder", one.folder()},
                       {"step", one.step()},
                       {"generation", one.generation()},
                       {"age_seconds", age_seconds(one.written_at(), now)},
                       {"complete", one.problem().empty()},
                       {"pinned", nullptr}};
  if (!one.problem().empty()) {
    json["problem"] = one.problem();
    return json;
  }
  json["bytes"] = one.bytes();
  if (one.has_val_loss()) json["val_loss"] = one.val_loss();
  return json;
}

// Where the run folder is not mounted the coordinator looks.
ExitCode list_of_coordinator(JobApi& api, const std::string& id, const Options& options,
                             const Surroundings& world) {
  const v1::ListCheckpointsResponse list = api.checkpoints(id);
  if (options.output == Output::kTable) {
    world.out << (list.checkpoints().empty() ? "no checkpoints\n" : table_of(list, world.clock.wall()))
              << std::flush;
    return kExitOk;
  }
  config::Json json = config::Json::array();
  for (const v1::CheckpointInfo& one : list.checkpoints()) json.push_back(json_of(one, world.clock.wall()));
  print_json({{"checkpoints", json}}, options, world.out);
  return kExitOk;
}

// The coordinator's words for a job whose run folder this machine does not see.
std::optional<v1::Job> job_elsewhere(JobApi& api, const Options& options) {
  v1::Job job = api.get(options.job);
  std::error_code not_here;
  if (fs::is_directory(job.run_folder(), not_here)) return std::nullopt;
  return job;
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
  if (!fs::is_directory(world.current_folder / options.job) && options.job.find('/') == std::string::npos) {
    const auto api = open_api(options, world);
    if (const auto job = job_elsewhere(*api, options))
      return list_of_coordinator(*api, job->id(), options, world);
  }
  std::vector<Listed> rows;
  for (const fs::path& folder : checkpoints_below(named_folder(options, world)))
    rows.push_back(checkpoint::look_at(folder));
  if (options.output == Output::kTable) {
    world.out << (rows.empty() ? "no checkpoints\n" : table_of(rows)) << std::flush;
    return kExitOk;
  }
  config::Json json = config::Json::array();
  for (const Listed& row : rows) json.push_back(json_of(row));
  print_json({{"checkpoints", json}}, options, world.out);
  return kExitOk;
}

ExitCode remove_checkpoints(const Options& options, const Surroundings& world) {
  const fs::path named = named_folder(options, world);
  const std::vector<fs::path> all = checkpoints_below(named);
  std::vector<fs::path> chosen;
  if (checkpoint::parse_folder_name(named.filename().string())) chosen = all;
  for (const std::string& name : options.names) chosen.push_back(find(all, name));
  if (chosen.empty()) throw UsageError("which ones? Name them by step or folder, such as 1200");
  std::vector<std::string> notes;
  const auto last = checkpoint::newest_good(chosen.front().parent_path(), notes);
  bool all_removed = true;
  for (const fs::path& folder : chosen) {
    const std::string name = folder.filename().string();
    if (last && last->folder == folder && !options.force) {
      all_removed = false;
      world.err << "mdgenctl: " << name << " is the last good one: it stays (--force removes it)\n";
    } else if (!checkpoint::remove_checkpoint(folder)) {
      all_removed = false;
      world.err << "mdgenctl: " << name << " stays: somebody reads it, or it cannot be removed\n";
    } else {
      world.out << "removed " << folder.string() << '\n';
    }
  }
  world.out << std::flush;
  return all_removed ? kExitOk : kExitFailed;
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
