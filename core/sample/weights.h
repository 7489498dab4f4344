// The weights to sample with.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

enum class WeightsChoice {
  kBest,  // the moving average where there is one
  kEma,
  kRaw,
};
WeightsChoice weights_choice(const std::string& name);  // "", "ema", "raw"

struct Weights {
  v1::JobSpec spec;  // resolved: what the model was trained with
  std::map<std::string, at::Tensor> tensors;
  std::string kind;                // "ema" or "raw"
  std::string source;              // the checkpoint's folder or file
  std::int64_t step = 0;           // optimizer steps behind them
  std::string digest;              // SHA-256 of names and values
  std::vector<std::string> notes;  // bad checkpoints that were passed over, flags that are unknown
};

// `source` is a checkpoint folder, a run folder or its folder of checkpoints (the newest that verifies is
// taken), or a Lightning .ckpt file. Throws Error naming it: kNotFound, kDataLoss (none verifies, tensors
// that do not fit), kFailedPrecondition (the choice is not there).
Weights load_weights(const std::filesystem::path& source, WeightsChoice choice);

}  // namespace mdgen::sample
