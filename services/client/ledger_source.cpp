#include "services/client/ledger_source.h"

#include <google/protobuf/util/json_util.h>

#include <filesystem>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/config/spec.h"
#include "core/ledger/json.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

LedgerSource of_job(const Options& options, const Surroundings& world, bool with_inputs) {
  v1::StreamLedgerRequest request;
  request.set_id(options.job);
  request.set_with_inputs(with_inputs);
  v1::StreamLedgerResponse whole = open_api(options, world)->ledger(request);
  LedgerSource source{.job = whole.job().id(),
                      .records = {whole.records().begin(), whole.records().end()},
                      .spec = std::move(*whole.mutable_job()->mutable_spec()),
                      .manifest = std::move(*whole.mutable_manifest()),
                      .end_step = whole.end_step()};
  if (with_inputs && source.manifest.train().entries().empty())
    throw Error(ErrorCode::kFailedPrecondition,
                "job " + source.job + " has no ledger: its data set has not been examined");
  return source;
}

fs::path newest_checkpoint(const fs::path& folder, const Surroundings& world) {
  if (checkpoint::parse_folder_name(folder.filename().string())) return folder;
  std::vector<std::string> notes;
  const auto found = checkpoint::newest_good(
      fs::is_directory(folder / "checkpoints") ? folder / "checkpoints" : folder, notes);
  for (const std::string& note : notes) world.err << "warning: " << note << '\n';
  if (!found) throw Error(ErrorCode::kNotFound, folder.string() + " has no good checkpoint");
  return found->folder;
}

v1::JobManifest manifest_beside(const fs::path& checkpoint) {
  const fs::path file = checkpoint.parent_path().parent_path() / "manifest.json";
  if (!fs::is_regular_file(file))
    throw Error(ErrorCode::kFailedPrecondition,
                file.string() + ", the data set's manifest, is not there: a ledger is verified against it");
  v1::JobManifest manifest;
  const auto status = google::protobuf::util::JsonStringToMessage(read_file(file), &manifest);
  if (!status.ok())
    throw Error(ErrorCode::kDataLoss, file.string() + " cannot be read: " + std::string(status.message()));
  return manifest;
}

LedgerSource of_checkpoint(const fs::path& folder, bool with_inputs) {
  const checkpoint::History history = checkpoint::read_history(folder);
  if (history.ledger_json.empty())
    throw Error(ErrorCode::kFailedPrecondition,
                folder.string() + " was written by a version that kept no ledger in it");
  LedgerSource source{.job = folder.string(),
                      .records = ledger::from_json(history.ledger_json),
                      .spec = {},
                      .manifest = {},
                      .end_step = history.step};
  if (with_inputs) {
    source.spec = config::from_json(history.spec_json);
    source.manifest = manifest_beside(folder);
  }
  return source;
}

}  // namespace

LedgerSource read_ledger(const Options& options, const Surroundings& world, bool with_inputs) {
  const fs::path folder = world.current_folder / options.job;
  if (fs::is_directory(folder))
    return of_checkpoint(newest_checkpoint(fs::weakly_canonical(folder), world), with_inputs);
  if (options.job.find('/') != std::string::npos) throw UsageError("there is no folder " + folder.string());
  return of_job(options, world, with_inputs);
}

}  // namespace mdgen::client
