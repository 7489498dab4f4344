// A checkpoint as bare tensors with their names: what Lightning's files and our folders have in common.
// Reading, comparing with a job's spec, and writing either form need no LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/model_layout.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::checkpoint {

struct PortableTensor {
  std::string dtype;  // as safetensors names it
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;    // C order; empty when only headers were read
  std::shared_ptr<const void> owner;  // of the bytes
};
using PortableTensors = std::map<std::string, PortableTensor>;

enum class Weights { kRaw, kEma };
const char* weights_name(Weights weights);  // "raw", "ema"

struct Portable {
  std::string source;               // the file or folder, for texts
  std::shared_ptr<const void> pin;  // while it lives nobody removes the folder
  bool is_lightning = false;
  v1::JobSpec spec;  // what it was trained with, defaults filled in; see has_spec
  bool has_spec = false;
  std::vector<std::string> notes;     // flags that were not understood, …
  std::vector<std::string> problems;  // what does not fit even its own spec

  Weights weights = Weights::kRaw;  // which of the two `model` holds
  PortableTensors model;            // state_dict names
  PortableTensors ema;              // empty: none kept
  std::optional<double> ema_decay;
  PortableTensors optimizer;  // as in optimizer.safetensors; empty: left out, training cannot go on

  std::int64_t optimizer_steps = 0;
  std::int64_t epochs_done = 0;
  std::int64_t epoch_steps = 0;  // of the epoch in progress
  std::int64_t step = 0;         // of one of our folders, in its own plan
  std::string plan_digest;       // likewise
};

enum class Contents { kHeaders, kAll };

// `path`: a Lightning file, one of our checkpoint folders, a folder of those or a run folder (then the newest
// one that verifies). `fallback` tells the layout of a Lightning file without hyper-parameters. Throws Error
// naming the path.
Portable read_portable(const std::filesystem::path& path, Contents contents,
                       const v1::JobSpec* fallback = nullptr);

// What keeps a run of `resolved` from going on from this checkpoint, a line each: missing, unknown and
// misshapen tensors, other modes and sizes, no optimizer state, no moving average, epochs that are done
// already.
std::vector<std::string> misfits(const Portable& portable, const v1::JobSpec& resolved);

// The same against what it says it was trained with: tensors alone.
std::vector<std::string> own_misfits(const Portable& portable);

// Throws Error(kInvalidArgument) with everything that misfits() finds for checkpoint.ckpt; nothing when the
// spec names none, or when the run has checkpoints of its own to train on, which win.
void check_start(const v1::JobSpec& resolved);

// A checkpoint folder below `folder` that programs take like one of a run; generation 0. Returns its path.
std::filesystem::path write_folder(const Portable& portable, const std::filesystem::path& folder);

// Names, shapes and both directions, of one set of tensors.
void compare_with_layout(const std::string& what, const ModelLayout& layout, const PortableTensors& tensors,
                         std::vector<std::string>& problems);

}  // namespace mdgen::checkpoint
