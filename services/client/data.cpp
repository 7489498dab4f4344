#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "core/data/content_check.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

v1::JobManifest read_manifest(const fs::path& file) {
  v1::JobManifest manifest;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(read_file(file), &manifest, options);
  if (!status.ok()) throw Error(ErrorCode::kDataLoss, file.string() + ": " + status.ToString());
  return manifest;
}

std::string counts_text(const data::ContentCheck& check, bool recorded_now) {
  return "arrays: " + std::to_string(check.arrays) + ", " + std::to_string(check.bytes) + " bytes; " +
         std::to_string(check.as_recorded) + " as recorded, " + std::to_string(check.as_prep_wrote) +
         " as mdgen-prep wrote them, " + std::to_string(check.problems.size()) + " bad" +
         (recorded_now ? "; recorded now" : "") + "\ndigest: " + check.digest() + "\n";
}

}  // namespace

ExitCode verify_data(const Options& options, const Surroundings& world) {
  const fs::path run_folder = named_folder(options, world);
  const fs::path spec_file = run_folder / "spec.yaml";
  const fs::path list_file = run_folder / "data.sha256";
  const v1::JobSpec spec = config::parse_yaml(read_file(spec_file), spec_file.string());
  const v1::JobManifest manifest = read_manifest(run_folder / "manifest.json");
  data::DigestList known;
  if (fs::exists(list_file)) known = data::parse_digest_list(read_file(list_file), list_file.string());

  const auto progress = [&](std::size_t done, std::size_t total) {
    if (world.terminal().columns > 0) world.err << '\r' << done << " of " << total << " arrays" << std::flush;
    return true;
  };
  const data::ContentCheck check =
      data::check_content(spec.data().data_dir(), manifest, known, options.threads, progress);
  if (world.terminal().columns > 0) world.err << '\n';

  const bool good = check.problems.empty() && check.arrays > 0;
  const bool record = good && check.as_recorded < check.arrays;
  if (record) {
    known.insert(check.digests.begin(), check.digests.end());
    replace_file(list_file, data::digest_list_text(known));
  }
  if (options.output == Output::kTable) {
    for (const std::string& problem : check.problems) world.out << "BAD  " << one_line(problem) << '\n';
    world.out << counts_text(check, record);
  } else {
    const config::Json json = {{"data_dir", spec.data().data_dir()},
                               {"arrays", check.arrays},
                               {"bytes", check.bytes},
                               {"as_recorded", check.as_recorded},
                               {"as_prep_wrote", check.as_prep_wrote},
                               {"digest", check.digest()},
                               {"list", list_file.string()},
                               {"problems", check.problems}};
    world.out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json));
  }
  return good ? kExitOk : kExitFailed;
}

}  // namespace mdgen::client
