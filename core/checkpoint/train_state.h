// Train state <-> checkpoint folder, and the background writer.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

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

// Writes the files of a checkpoint into `folder` (see store.h).
void write_files(const std::filesystem::path& folder, const TrainState& state);

// Reads what write_files wrote. Throws Error(kDataLoss) naming file and tensor.
TrainState read_files(const std::filesystem::path& folder);

// Publishes snapshots from a thread of its own: one in flight; a second request waits for the first. Errors
// are kept and thrown by the next call. After publishing it verifies the folder by reading it back, applies
// retention and calls `done(folder)` on its thread.
class BackgroundWriter {
 public:
  struct Options {
    std::filesystem::path checkpoints;
    std::int64_t generation = 1;
    int keep_last = 3;
  };
  using Done = std::function<void(const std::filesystem::path& folder, std::int64_t step)>;

  BackgroundWriter(Options options, Done done);
  ~BackgroundWriter();  // waits for the one in flight

  // Of the checkpoints that are written from now on; one in flight keeps its own.
  void enter_generation(std::int64_t generation);
  // Copies `live` and returns; the files are written in the background.
  void write(const TrainState& live);
  // Waits until nothing is in flight.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::checkpoint
