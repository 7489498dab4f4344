// Train state <-> checkpoint folder.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

// Tensors by name. `model` and `ema` carry the names of the reference's LatentMDGenModel.state_dict
// (parameters and buffers); `optimizer` has what train::Adam::state() says: "step" and, for each parameter
// that has had a gradient, "exp_avg.<parameter>", "exp_avg_sq.<parameter>" and, where it differs from "step",
// "step.<parameter>".
struct TrainState {
  std::map<std::string, at::Tensor> model;
  std::map<std::string, at::Tensor> ema;  // empty: none kept
  std::map<std::string, at::Tensor> optimizer;
  Summary summary;
  std::string spec_json;  // the resolved spec, into state.json
  std::string loop_json;  // what the training loop keeps (train/loop_state.h), into state.json; may be empty
  std::string ledger_json;  // the ledger's records up to this step (core/ledger), likewise
};

// A deep copy in host memory. `reuse`: an earlier snapshot whose buffers are written again (a fresh buffer
// costs more).
TrainState snapshot(const TrainState& live, TrainState reuse = {});

// Writes the files of a checkpoint into `folder` (see store.h); returns what they are by their bytes in
// memory.
std::vector<FileRecord> write_files(const std::filesystem::path& folder, const TrainState& state);

// What write_files needs on the disk, a little more than less.
std::int64_t bytes_of(const TrainState& state);

// Reads what write_files wrote. Throws Error(kDataLoss) naming file and tensor.
TrainState read_files(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
