// A run folder with a checkpoint as if it had been trained: weights are drawn, none stays zero; with --ema
// the averaged ones are others.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/train_state.h"
#include "core/config/spec.h"
#include "core/model/latent_model.h"
#include "core/train/optimizer.h"

namespace mdgen::testing {

inline std::map<std::string, at::Tensor> drawn_weights(model::LatentModel& model) {
  std::map<std::string, at::Tensor> named;
  for (const auto& [name, tensor] : train::state_dict(*model)) {
    const at::Tensor value = tensor.detach().clone();
    if (value.is_floating_point() && name.find("embed") == std::string::npos)
      value.add_(torch::randn(value.sizes()), 0.03);
    named[name] = value;
  }
  return named;
}

// `flags` are those of training. Returns the checkpoint's folder.
inline std::filesystem::path write_drawn_checkpoint(const std::filesystem::path& run_folder,
                                                    const std::vector<std::string>& flags) {
  v1::JobSpec spec;
  config::apply_flags(spec, flags);
  spec = config::resolve(spec, std::filesystem::current_path()).spec;
  torch::manual_seed(static_cast<std::int64_t>(spec.seed()));
  model::LatentModel model(model::model_config(spec));
  model->initialize(spec.seed());

  checkpoint::TrainState state;
  state.model = drawn_weights(model);
  if (spec.optim().ema()) state.ema = drawn_weights(model);
  state.optimizer["step"] = torch::tensor(std::int64_t{5});
  state.summary.step = 5;
  state.spec_json = config::to_json(spec);
  std::filesystem::create_directories(run_folder / "checkpoints");
  return checkpoint::publish(run_folder / "checkpoints", {.step = 5, .generation = 1}, state.summary,
                             [&](const auto& into) { checkpoint::write_files(into, state); });
}

}  // namespace mdgen::testing
