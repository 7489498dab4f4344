// Trimmed padding leaves the mathematics alone: losses and gradients of a micro-batch are those of the same
// samples padded to crop, in every mode.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "core/config/spec.h"
#include "core/data/dataset.h"
#include "core/data/manifest.h"
#include "core/objective/objective.h"
#include "tests/support/synthetic_dataset.h"
#include "tests/support/temp_dir.h"

namespace mdgen::objective {
namespace {

using Words = std::vector<std::string>;

constexpr std::int32_t kCrop = 20;  // no multiple of the rounding

struct Mode {
  const char* name;
  Words flags;
};
void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

v1::JobSpec spec_of(const testing::SyntheticDataset& made, const Words& flags, const std::string& padding) {
  Words words = {"--train_split", made.train_split.string(), "--data_dir", made.data_dir.string()};
  words.insert(words.end(), {"--atlas", "--no_validate", "--padding", padding, "--crop",
                             std::to_string(kCrop), "--num_frames", "4", "--batch_size", "3"});
  words.insert(words.end(),
               {"--embed_dim", "16", "--mha_heads", "2", "--num_layers", "2", "--ipa_heads", "2"});
  words.insert(words.end(), {"--ipa_head_dim", "4", "--ipa_qk", "2", "--ipa_v", "2"});
  words.insert(words.end(), flags.begin(), flags.end());
  v1::JobSpec spec;
  config::apply_flags(spec, words);
  return config::resolve(spec, "/").spec;
}

// Proteins of 5, 9, 13 and 30 residues.
class PaddingTest : public ::testing::TestWithParam<Mode> {
 protected:
  static const testing::SyntheticDataset& made() {
    static const testing::TempDir folder;
    static const auto made = testing::make_synthetic_dataset(
        folder.path(), {.lengths = {5, 9, 13, 30}, .frames = 8, .replicas = 2, .dtype = "<f4"});
    return made;
  }
};

// What a training step takes from a micro-batch: the samples' losses and the gradient of each parameter.
struct Answer {
  std::int64_t residues = 0;
  at::Tensor losses;
  std::vector<at::Tensor> gradients;  // undefined where a parameter has none
  std::vector<std::string> names;
};

void to_type(data::Batch& batch, at::ScalarType type) {
  for (at::Tensor* tensor : {&batch.trans, &batch.rots, &batch.torsions, &batch.torsion_mask, &batch.mask,
                             &batch.flow_time, &batch.noise, &batch.simplex}) {
    if (tensor->defined()) *tensor = tensor->to(type);
  }
}

// All weights random, so that no zero-initialised gate hides a path.
model::LatentModel open_model(const v1::JobSpec& spec, at::ScalarType type) {
  model::LatentModel model(model::model_config(spec));
  const torch::NoGradGuard no_grad;
  at::manual_seed(4);
  for (auto& item : model->named_parameters()) item.value().normal_(0, 0.2);
  model->to(type);
  return model;
}

struct Asked {
  data::MicroBatch samples;
  at::ScalarType type = at::kFloat;
  bool token_follows_length = false;  // the mistake: the bias token right after what is left
};

Answer answer(const v1::JobSpec& spec, const Asked& asked) {
  const data::Dataset dataset(spec, data::build_manifest(spec).manifest.train(),
                              latent_channels(spec.model()));
  data::Batch batch = dataset.load(0, asked.samples);
  to_type(batch, asked.type);
  if (asked.token_follows_length) batch.untrimmed_residues = 0;
  const Prepared prepared = prepare(batch, spec);
  const transport::Transport transport(spec.transport());
  model::LatentModel model = open_model(spec, asked.type);
  Answer out;
  out.residues = batch.mask.size(1);
  const at::Tensor losses =
      training_losses(model, transport, prepared, transport.flow_time(batch.flow_time), batch.noise)
          .per_sample;
  losses.mean().backward();
  out.losses = losses.detach();
  for (const auto& item : model->named_parameters()) {
    out.gradients.push_back(item.value().grad());
    out.names.push_back(item.key());
  }
  return out;
}

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

double largest(const std::vector<at::Tensor>& tensors) {
  double value = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) value = std::max(value, largest(tensor));
  }
  return value;
}

// Of losses and gradients, relative to the largest magnitude of each.
double difference(const Answer& a, const Answer& b) {
  double worst = largest(a.losses - b.losses) / largest(b.losses);
  const double scale = largest(b.gradients);
  for (std::size_t i = 0; i < b.gradients.size(); ++i) {
    EXPECT_EQ(a.gradients[i].defined(), b.gradients[i].defined()) << a.names[i];
    if (b.gradients[i].defined()) worst = std::max(worst, largest(a.gradients[i] - b.gradients[i]) / scale);
  }
  return worst;
}

TEST_P(PaddingTest, TrimmedGivesTheLossesAndGradientsOfPadded) {
  const v1::JobSpec padded = spec_of(made(), GetParam().flags, "crop");
  const v1::JobSpec trimmed = spec_of(made(), GetParam().flags, "trimmed");
  struct Row {
    data::MicroBatch samples;
    std::int64_t residues;
  };
  for (const Row& row : std::initializer_list<Row>{
           {{0}, 8}, {{1}, 16}, {{3}, kCrop}, {{0, 1}, 16}, {{2, 0, 1}, 16}, {{1, 3}, kCrop}}) {
    const Answer whole = answer(padded, {row.samples});
    const Answer cut = answer(trimmed, {row.samples});
    EXPECT_EQ(whole.residues, kCrop);
    EXPECT_EQ(cut.residues, row.residues);
    EXPECT_GT(largest(whole.gradients), 0);
    EXPECT_LT(difference(cut, whole), row.residues == kCrop ? 1e-30 : 1e-5)
        << row.samples.size() << " samples, the first " << row.samples[0];
  }
}

// Rounding cannot hide a term in double precision.
TEST_P(PaddingTest, InDoublePrecisionTheyDifferByRoundingAlone) {
  const v1::JobSpec padded = spec_of(made(), GetParam().flags, "crop");
  const v1::JobSpec trimmed = spec_of(made(), GetParam().flags, "trimmed");
  const data::MicroBatch samples = {1, 0};
  EXPECT_LT(difference(answer(trimmed, {samples, at::kDouble}), answer(padded, {samples, at::kDouble})),
            1e-12);
}

INSTANTIATE_TEST_SUITE_P(
    Each, PaddingTest,
    ::testing::Values(
        Mode{"unconditional", {}}, Mode{"sim", {"--sim_condition", "--prepend_ipa"}},
        Mode{"tps", {"--tps_condition", "--prepend_ipa"}},
        Mode{"upsampling", {"--sim_condition", "--prepend_ipa", "--cond_interval", "2"}},
        Mode{"inpainting", {"--inpainting", "--prepend_ipa"}},
        Mode{"design", {"--sim_condition", "--design", "--prepend_ipa"}},
        Mode{"inpainting_design", {"--inpainting", "--design", "--prepend_ipa", "--no_aa_emb"}},
        Mode{"mpnn", {"--mpnn", "--design", "--prepend_ipa"}},
        Mode{"dynamic_mpnn", {"--dynamic_mpnn", "--design", "--prepend_ipa"}},
        Mode{"hyena", {"--sim_condition", "--prepend_ipa", "--hyena"}},
        Mode{"interleave_ipa", {"--sim_condition", "--interleave_ipa"}},
        Mode{"both_ipa", {"--tps_condition", "--prepend_ipa", "--interleave_ipa"}},
        Mode{"no_rope", {"--sim_condition", "--prepend_ipa", "--no_rope"}},
        Mode{"tables", {"--sim_condition", "--prepend_ipa", "--abs_pos_emb", "--abs_time_emb"}},
        Mode{"all_torsions", {"--sim_condition", "--prepend_ipa", "--supervise_all_torsions"}},
        Mode{"no_torsions", {"--sim_condition", "--prepend_ipa", "--supervise_no_torsions", "--no_offsets"}},
        Mode{"dropout", {"--tps_condition", "--prepend_ipa", "--interleave_ipa", "--dropout", "0.3"}},
        Mode{"recomputed", {"--sim_condition", "--prepend_ipa", "--dropout", "0.3", "--grad_checkpointing"}},
        Mode{"compat", {"--sim_condition", "--prepend_ipa", "--interleave_ipa", "--reference_compat"}},
        Mode{"compat_hyena", {"--sim_condition", "--prepend_ipa", "--hyena", "--reference_compat"}}),
    [](const auto& info) { return std::string(info.param.name); });

// Which the tests above would miss if the model were blind to it.
TEST_F(PaddingTest, TheBiasTokenMustStayWhereItIs) {
  for (const Words& flags : std::initializer_list<Words>{{"--sim_condition"},
                                                         {"--tps_condition", "--prepend_ipa"},
                                                         {"--mpnn", "--design", "--prepend_ipa"}}) {
    const Answer whole = answer(spec_of(made(), flags, "crop"), {{0, 1}});
    const v1::JobSpec trimmed = spec_of(made(), flags, "trimmed");
    EXPECT_LT(difference(answer(trimmed, {{0, 1}}), whole), 1e-5);
    EXPECT_GT(difference(answer(trimmed, {.samples = {0, 1}, .token_follows_length = true}), whole), 1e-3);
  }
}

// Padding counts here in the reference.
TEST_F(PaddingTest, CompatKeepsThePaddingThatCounts) {
  for (const Words& flags : std::initializer_list<Words>{{"--sim_condition", "--supervise_all_torsions"},
                                                         {"--sim_condition", "--prepend_ipa", "--design"},
                                                         {"--sim_condition", "--no_rope"}}) {
    Words compat = flags;
    compat.emplace_back("--reference_compat");
    const Answer ours = answer(spec_of(made(), flags, "trimmed"), {{0, 1}});
    const Answer whole = answer(spec_of(made(), compat, "crop"), {{0, 1}});
    const Answer kept = answer(spec_of(made(), compat, "trimmed"), {{0, 1}});
    EXPECT_EQ(kept.residues, kCrop);
    EXPECT_EQ(difference(kept, whole), 0);
    EXPECT_GT(difference(ours, whole), 1e-3);
  }
}

}  // namespace
}  // namespace mdgen::objective
