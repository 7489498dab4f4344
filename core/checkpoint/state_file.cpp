#include "core/checkpoint/state_file.h"

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kStateVersion = 1;

}  // namespace

FileRecord write_state_file(const std::filesystem::path& folder, const StateFile& state) {
  const Summary& summary = state.summary;
  Json json = {{"version", kStateVersion},
               {"step", summary.step},
               {"epoch", summary.epoch},
               {"epochs_done", summary.epochs_done},
               {"epoch_steps", summary.epoch_steps},
               {"samples", summary.samples},
               {"weights", state.weights},
               {"spec_digest", summary.spec_digest},
               {"plan_digest", summary.plan_digest},
               {"spec", state.spec_json.empty() ? Json::object() : Json::parse(state.spec_json)}};
  if (!state.loop_json.empty()) json["loop"] = Json::parse(state.loop_json);
  if (!state.ledger_json.empty()) json["ledger"] = Json::parse(state.ledger_json);
  const std::string text = json.dump(2) + "\n";
  const std::string_view part = text;
  WrittenFile written = write_file_recorded(folder / kStateFile, {&part, 1});
  return {kStateFile, written.bytes, std::move(written.sha256)};
}

StateFile read_state_file(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kStateFile;
  try {
    const Json json = Json::parse(read_file(file));
    StateFile state;
    state.summary = {.step = json.at("step").get<std::int64_t>(),
                     .epoch = json.at("epoch").get<std::int64_t>(),
                     .samples = json.at("samples").get<std::int64_t>(),
                     .spec_digest = json.at("spec_digest").get<std::string>(),
                     .plan_digest = json.at("plan_digest").get<std::string>()};
    // An older version does not say where the epoch ended: then the one in progress begins anew.
    state.summary.epochs_done = json.value("epochs_done", state.summary.epoch);
    state.summary.epoch_steps = json.value("epoch_steps", std::int64_t{0});
    state.weights = json.value("weights", std::string("raw"));
    state.spec_json = json.at("spec").dump();
    if (json.contains("loop")) state.loop_json = json.at("loop").dump();
    if (json.contains("ledger")) state.ledger_json = json.at("ledger").dump();
    return state;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, file.string() + " is not a checkpoint's state: " + error.what());
  }
}

History read_history(const std::filesystem::path& folder) {
  StateFile state = read_state_file(folder);
  return {state.summary.step, std::move(state.spec_json), std::move(state.ledger_json)};
}

}  // namespace mdgen::checkpoint
