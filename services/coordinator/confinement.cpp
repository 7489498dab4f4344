#include "services/coordinator/confinement.h"

#include <algorithm>
#include <string>
#include <variant>

#include "core/base/beneath.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/schema.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

using Folders = std::vector<fs::path>;

bool is_written(const std::string& field) { return field == "logging.teaching_ipa"; }

std::string list_of(const Folders& roots) {
  std::vector<std::string> names;
  for (const fs::path& root : roots) names.push_back(root.string());
  return join(names, ", ");
}

bool is_below_any(const fs::path& path, const Folders& roots) {
  return std::any_of(roots.begin(), roots.end(),
                     [&](const fs::path& root) { return is_beneath(path, root); });
}

void check_path(const std::string& field, const fs::path& path, const Roots& roots) {
  if (std::find(path.begin(), path.end(), "..") != path.end())
    throw Error(ErrorCode::kInvalidArgument, field + ": \"" + path.string() + "\" must not contain \"..\"");
  Folders allowed = roots.run;
  if (!is_written(field)) allowed.insert(allowed.end(), roots.data.begin(), roots.data.end());
  const bool anywhere = is_written(field) ? roots.run.empty() : roots.data.empty();
  try {
    if (anywhere || is_below_any(path, allowed)) return;
    throw Error(ErrorCode::kInvalidArgument,
                field + ": \"" + path.string() + "\" leads to " + fs::weakly_canonical(path).string() +
                    ", which lies outside this coordinator's roots: " + list_of(allowed));
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kInvalidArgument,
                field + ": \"" + path.string() + "\": " + error.code().message());
  }
}

}  // namespace

void check_paths(const v1::JobSpec& spec, const Roots& roots) {
  for (const config::Field& field : config::Schema::get().fields()) {
    if (!field.rules.path() || field.key == "work_dir") continue;
    const auto value = config::get_value(spec, field);
    if (!value) continue;
    const std::string& path = std::get<std::string>(*value);
    if (!path.empty()) check_path(field.key, path, roots);
  }
}

void check_run_folder(const fs::path& folder, const Roots& roots) {
  if (roots.run.empty()) return;
  for (const fs::path& part : {folder, folder / "logs", folder / "checkpoints"}) {
    if (is_below_any(part, roots.run)) continue;
    throw Error(ErrorCode::kInvalidArgument,
                "work_dir: run folder " + part.string() + " leads to " + fs::weakly_canonical(part).string() +
                    ", which lies outside this coordinator's run roots: " + list_of(roots.run));
  }
}

}  // namespace mdgen::coordinator
