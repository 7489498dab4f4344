// state.json of a checkpoint folder. Internal to core/checkpoint.
#pragma once

#include <filesystem>
#include <string>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kModelFile = "model.safetensors";
inline constexpr const char* kEmaFile = "ema.safetensors";
inline constexpr const char* kOptimizerFile = "optimizer.safetensors";

struct StateFile {
  Summary summary;
  std::string spec_json;    // the resolved spec; empty: none
  std::string loop_json{};  // the training loop's own; empty: none
  std::string weights = "raw";
  std::string ledger_json{};  // an array of records (core/ledger/json.h); empty: none
};

FileRecord write_state_file(const std::filesystem::path& folder, const StateFile& state);
// Throws Error(kDataLoss) naming the file.
StateFile read_state_file(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
