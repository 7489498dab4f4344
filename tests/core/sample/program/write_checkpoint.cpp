// Writes a run folder with a checkpoint as if it had been trained: write_checkpoint RUN_FOLDER [TRAINING
// FLAGS]. Weights are drawn, none stays zero; with --ema the averaged ones are others.
#include <torch/torch.h>

#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/train_state.h"
#include "core/config/spec.h"
#include "core/model/latent_model.h"
#include "core/train/optimizer.h"

namespace {

std::map<std::string, at::Tensor> weights(mdgen::model::LatentModel& model, double scale) {
  std::map<std::string, at::Tensor> named;
  for (const auto& [name, tensor] : mdgen::train::state_dict(*model)) {
    const at::Tensor value = tensor.detach().clone();
    if (value.is_floating_point() && name.find("embed") == std::string::npos)
      value.add_(torch::randn(value.sizes()), scale);
    named[name] = value;
  }
  return named;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: write_checkpoint RUN_FOLDER [TRAINING FLAGS]\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::vector<std::string> flags(argv + 2, argv + argc);
  mdgen::v1::JobSpec spec;
  mdgen::config::apply_flags(spec, flags);
  spec = mdgen::config::resolve(spec, std::filesystem::current_path()).spec;

  torch::manual_seed(static_cast<std::int64_t>(spec.seed()));
  mdgen::model::LatentModel model(mdgen::model::model_config(spec));
  model->initialize(spec.seed());
  mdgen::checkpoint::TrainState state;
  state.model = weights(model, 0.03);
  if (spec.optim().ema()) state.ema = weights(model, 0.03);
  state.optimizer["step"] = torch::tensor(std::int64_t{5});
  state.summary.step = 5;
  state.spec_json = mdgen::config::to_json(spec);
  std::filesystem::create_directories(folder / "checkpoints");
  std::cout << mdgen::checkpoint::publish(
                   folder / "checkpoints", {.step = 5, .generation = 1}, state.summary,
                   [&](const auto& into) { mdgen::checkpoint::write_files(into, state); })
                   .string()
            << '\n';
}
