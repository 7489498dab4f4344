// The training step with trimmed against full padding, on a split's lengths and random atoms:
//   padding_step SPLIT.csv STEPS [flag=value …]
// Each step's samples are computed padded to crop, trimmed, and at the longest sample's exact length in turn.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/config/spec.h"
#include "core/data/micro_batches.h"
#include "core/data/order.h"
#include "core/data/padding.h"
#include "core/data/split.h"
#include "core/objective/objective.h"

namespace {

using namespace mdgen;
using Clock = std::chrono::steady_clock;

v1::JobSpec spec_of(const std::vector<std::string>& flags) {
  v1::JobSpec spec;
  for (const std::string& flag : flags) config::apply_assignment(spec, flag);
  return config::resolve(spec, "/").spec;
}

data::Batch random_batch(const v1::JobSpec& spec, const std::vector<std::int32_t>& shown,
                         std::int64_t length) {
  const auto b = static_cast<std::int64_t>(shown.size());
  const std::int64_t t = spec.data().num_frames();
  data::Batch batch;
  batch.trans = 10 * at::randn({b, t, length, 3});
  batch.rots = at::eye(3).expand({b, t, length, 3, 3}).contiguous();
  batch.torsions = at::randn({b, t, length, 7, 2});
  batch.mask = at::zeros({b, length});
  for (std::int64_t i = 0; i < b; ++i)
    batch.mask[i].narrow(0, 0, shown[static_cast<std::size_t>(i)]).fill_(1);
  batch.torsion_mask = batch.mask.unsqueeze(-1).expand({b, length, 7}).contiguous();
  batch.seqres = at::randint(0, 20, {b, length});
  batch.flow_time = at::rand({b});
  batch.noise = at::randn({b, t, length, objective::latent_channels(spec.model())});
  batch.dropout_key = at::randint(0, 1 << 30, {b}, at::kLong);
  batch.first_residue = at::zeros({b}, at::kLong);
  batch.untrimmed_residues = spec.data().crop();
  return batch;
}

// One way to pad, its sums over the steps, and the seconds of the step under way.
struct Way {
  const char* name;
  data::PaddingRules rules;
  data::SampleSizes sizes;
  double seconds = 0;
  std::int64_t tokens = 0, padding = 0;  // residues of all frames
};

void run_step(Way& way, const v1::JobSpec& spec, model::LatentModel& model, const v1::Manifest& manifest,
              const std::vector<std::uint32_t>& samples) {
  const transport::Transport transport(spec.transport());
  model->zero_grad();
  const auto batches =
      data::micro_batches(samples, way.sizes, static_cast<std::uint32_t>(spec.optim().batch_size()));
  for (const data::MicroBatch& micro : batches) {
    std::vector<std::int32_t> proteins, shown;
    for (const std::uint32_t sample : micro) {
      proteins.push_back(manifest.entries(static_cast<int>(sample)).residues());
      shown.push_back(data::shown_residues(way.rules, proteins.back()));
      way.padding -= shown.back();
    }
    const std::int64_t length = data::padded_residues(way.rules, proteins);
    way.padding += length * static_cast<std::int64_t>(micro.size());
    way.tokens += length * static_cast<std::int64_t>(micro.size());
    const data::Batch batch = random_batch(spec, shown, length);
    const auto begin = Clock::now();
    const objective::Prepared prepared = objective::prepare(batch, spec);
    objective::training_losses(model, transport, prepared, transport.flow_time(batch.flow_time), batch.noise)
        .per_sample.sum()
        .backward();
    way.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  }
}

v1::Manifest manifest_of(const char* split) {
  data::Problems problems;
  v1::Manifest manifest;
  for (const data::SplitRow& row : data::read_split(split, problems))
    manifest.add_entries()->set_residues(static_cast<std::int32_t>(row.seqres.size()));
  problems.throw_if_any();
  return manifest;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: padding_step SPLIT.csv STEPS [flag=value ...]\n");
    return 2;
  }
  const v1::Manifest manifest = manifest_of(argv[1]);
  std::vector<std::string> flags = {
      "name=bench", "train_split=split.csv", "data_dir=data",   "no_validate=true",
      "atlas=true", "sim_condition=true",    "prepend_ipa=true"};
  flags.insert(flags.end(), argv + 3, argv + argc);
  const v1::JobSpec trimmed = spec_of(flags);
  v1::JobSpec crop = trimmed;
  crop.mutable_data()->set_padding("crop");

  std::vector<Way> ways = {{"crop", data::padding_rules(crop), data::sample_sizes(crop, manifest)},
                           {"trimmed", data::padding_rules(trimmed), data::sample_sizes(trimmed, manifest)},
                           {"exact", data::padding_rules(trimmed), data::sample_sizes(trimmed, manifest)}};
  ways[2].rules.multiple = 1;
  model::LatentModel model(model::model_config(trimmed));
  model->initialize(trimmed.seed());
  const auto order =
      data::epoch_order(trimmed.seed(), 0, static_cast<std::uint32_t>(manifest.entries_size()));
  const auto size = static_cast<std::ptrdiff_t>(trimmed.global_batch_size());
  for (std::ptrdiff_t step = 0; step <= std::stoi(argv[2]); ++step) {
    if (step == 1) {
      for (Way& way : ways) way.seconds = 0, way.tokens = way.padding = 0;  // the first step warms up
    }
    const std::vector<std::uint32_t> samples(order.begin() + step * size, order.begin() + (step + 1) * size);
    for (Way& way : ways) run_step(way, trimmed, model, manifest, samples);
  }
  for (const Way& way : ways) {
    std::printf(
        "%-8s %8.2f s, %.3f of crop's time; %lld residues computed, %.3f of crop's, %.1f %% padding\n",
        way.name, way.seconds, way.seconds / ways[0].seconds, static_cast<long long>(way.tokens),
        static_cast<double>(way.tokens) / static_cast<double>(ways[0].tokens),
        100.0 * static_cast<double>(way.padding) / static_cast<double>(way.tokens));
  }
  return 0;
}
