#include "services/coordinator/run_folder.h"

#include <algorithm>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/checkpoint/temporary.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "core/data/manifest_file.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

struct LogName {
  int rank = 0;
  int attempt = 0;
};

// "rank-3.attempt-1.log"; nothing for any other name.
std::optional<LogName> parse_log_name(const std::string& name) {
  LogName parsed;
  if (std::sscanf(name.c_str(), "rank-%9d.attempt-%9d.log", &parsed.rank, &parsed.attempt) != 2)
    return std::nullopt;
  return name == log_file("", parsed.rank, parsed.attempt).filename() ? std::optional(parsed) : std::nullopt;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  return names;
}

void check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    throw Error(ErrorCode::kInvalidArgument,
                "name: \"" + name + "\" is not allowed: it names a folder in work_dir");
}

[[noreturn]] void refuse(const fs::path& folder, const std::string& reason) {
  throw Error(ErrorCode::kFailedPrecondition, "run folder " + folder.string() + ": " + reason);
}

}  // namespace

FolderFacts inspect_run_folder(const v1::JobSpec& spec, const Roots& roots) {
  check_name(spec.name());
  if (!fs::path(spec.work_dir()).is_absolute())
    throw Error(ErrorCode::kInvalidArgument, "work_dir: \"" + spec.work_dir() + "\" is not an absolute path");
  FolderFacts facts;
  std::error_code error;
  facts.folder = fs::weakly_canonical(fs::path(spec.work_dir()) / spec.name(), error);
  if (error) refuse(fs::path(spec.work_dir()) / spec.name(), error.message());
  check_run_folder(facts.folder, roots);
  check_paths(spec, roots);
  facts.has_checkpoints = !checkpoint::list(facts.folder / "checkpoints").empty();
  facts.last_generation = checkpoint::last_generation(facts.folder / "checkpoints");
  for (const std::string& name : names_in(facts.folder / "logs"))
    if (const auto log = parse_log_name(name))
      facts.last_attempt = std::max(facts.last_attempt, log->attempt);
  facts.used =
      facts.has_checkpoints || facts.last_attempt > 0 || fs::exists(facts.folder / "metrics.jsonl", error);
  return facts;
}

void prepare_run_folder(const fs::path& folder, const v1::JobSpec& spec) {
  std::error_code error;
  fs::create_directories(folder / "logs", error);
  if (error) refuse(folder, "cannot be created: " + error.message());
  replace_file(folder / "spec.yaml", config::to_yaml(spec));
}

void write_manifest(const fs::path& folder, const v1::JobManifest& manifest) {
  replace_file(folder / data::kManifestFile,
               config::message_to_json(manifest, config::Unset::kLeaveOut).dump(1) + "\n");
}

fs::path preflight_file(const fs::path& folder) { return folder / "preflight.json"; }

void write_preflight(const fs::path& folder, const v1::Preflight& found) {
  config::Json json = {
      {"arrays", found.arrays()}, {"problems", config::Json::array()}, {"warnings", config::Json::array()}};
  for (const std::string& text : found.problems()) json["problems"].push_back(text);
  for (const std::string& text : found.warnings()) json["warnings"].push_back(text);
  if (found.problems().empty()) json["manifest_digest"] = found.manifest().digest();
  replace_file(preflight_file(folder), json.dump(1) + "\n");
}

fs::path log_file(const fs::path& folder, int rank, int attempt) {
  return folder / "logs" / ("rank-" + std::to_string(rank) + ".attempt-" + std::to_string(attempt) + ".log");
}

std::vector<int> log_attempts(const fs::path& folder, int rank) {
  std::vector<int> attempts;
  for (const std::string& name : names_in(folder / "logs"))
    if (const auto log = parse_log_name(name); log && log->rank == rank) attempts.push_back(log->attempt);
  std::sort(attempts.begin(), attempts.end());
  return attempts;
}

}  // namespace mdgen::coordinator
