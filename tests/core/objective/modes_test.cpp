// Each mode from its flags to falling losses: spec, manifest, data set, objective, model, optimizer.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "core/config/spec.h"
#include "core/data/dataset.h"
#include "core/data/manifest.h"
#include "core/objective/objective.h"
#include "core/train/optimizer.h"
#include "tests/support/synthetic_dataset.h"
#include "tests/support/temp_dir.h"

namespace mdgen::objective {
namespace {

using Words = std::vector<std::string>;

struct Mode {
  const char* name;
  Words flags;
};
void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

// A tetrapeptide run of a model that is as small as it still has every part.
v1::JobSpec spec_of(const testing::SyntheticDataset& made, const Words& flags) {
  Words words = {"--embed_dim",    "16", "--mha_heads",  "2", "--num_layers", "1", "--ipa_heads",  "2",
                 "--ipa_head_dim", "4",  "--ipa_qk",     "2", "--ipa_v",      "2", "--num_frames", "6",
                 "--crop",         "4",  "--batch_size", "2", "--no_validate"};
  words.insert(words.end(),
               {"--train_split", made.train_split.string(), "--data_dir", made.data_dir.string()});
  words.insert(words.end(), flags.begin(), flags.end());
  v1::JobSpec spec;
  config::apply_flags(spec, words);
  return config::resolve(spec, "/").spec;
}

class ModeTest : public ::testing::TestWithParam<Mode> {};

TEST_P(ModeTest, Trains) {
  const testing::TempDir folder;
  const auto made = testing::make_synthetic_dataset(
      folder.path(), {.lengths = {4, 4}, .frames = 12, .replicas = 0, .dtype = "<f4"});
  const v1::JobSpec spec = spec_of(made, GetParam().flags);
  const v1::Manifest manifest = data::build_manifest(spec).manifest.train();
  const data::Dataset dataset(spec, manifest, latent_channels(spec.model()));
  const data::Batch batch = dataset.load(0, {0, 1});
  const Prepared prepared = prepare(batch, spec);
  const transport::Transport transport(spec.transport());
  const at::Tensor t = transport.flow_time(batch.flow_time);
  model::LatentModel model(model::model_config(spec));
  model->initialize(spec.seed());
  train::Adam adam(train::trainable(*model), {.lr = 0.01});

  std::vector<double> losses;
  for (int step = 0; step < 25; ++step) {
    model->zero_grad();
    const at::Tensor loss = training_losses(model, transport, prepared, t, batch.noise).per_sample.mean();
    loss.backward();
    adam.step();
    losses.push_back(loss.item<double>());
  }
  EXPECT_LT(losses.back(), 0.8 * losses.front()) << losses.front() << " -> " << losses.back();
}

INSTANTIATE_TEST_SUITE_P(
    Each, ModeTest,
    ::testing::Values(
        Mode{"unconditional", {}}, Mode{"unconditional_ipa", {"--prepend_ipa"}},
        Mode{"forward_simulation", {"--sim_condition", "--prepend_ipa", "--abs_pos_emb"}},
        Mode{"interpolation", {"--tps_condition", "--prepend_ipa", "--abs_pos_emb"}},
        Mode{"both", {"--sim_condition", "--tps_condition", "--prepend_ipa", "--cond_interval", "2"}},
        Mode{"upsampling", {"--sim_condition", "--prepend_ipa", "--cond_interval", "3"}},
        Mode{"inpainting", {"--inpainting", "--prepend_ipa"}},
        Mode{
            "inpainting_design",
            {"--inpainting", "--design", "--prepend_ipa", "--no_aa_emb", "--no_torsion", "--alpha_max", "6"}},
        Mode{"unconditional_design", {"--design", "--prepend_ipa"}},
        Mode{"key_frames",
             {"--sim_condition", "--design", "--prepend_ipa", "--design_key_frames", "--no_design_torsion"}},
        Mode{"mpnn", {"--mpnn", "--design", "--prepend_ipa"}},
        Mode{"dynamic_mpnn", {"--dynamic_mpnn", "--design", "--prepend_ipa", "--abs_time_emb"}},
        Mode{"atoms", {"--sim_condition", "--no_frames"}},
        Mode{"absolute", {"--sim_condition", "--prepend_ipa", "--no_offsets", "--supervise_all_torsions"}},
        Mode{"frames_alone", {"--sim_condition", "--supervise_no_torsions", "--no_torsion"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace mdgen::objective
