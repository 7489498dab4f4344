#include "core/data/balance.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/data/padding.h"
#include "core/data/split.h"
#include "services/client/format.h"
#include "services/client/spec_source.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

struct Variant {
  const char* padding;
  const char* order;
  data::Cut cut;
};
// The first is what the others are compared with.
constexpr Variant kVariants[] = {{"crop", "shuffled", data::Cut::kInOrder},
                                 {"trimmed", "shuffled", data::Cut::kInOrder},
                                 {"trimmed", "shuffled", data::Cut::kByLength},
                                 {"trimmed", "bucketed", data::Cut::kByLength}};

struct Row {
  int ranks = 0;
  int batch_size = 0;
  Variant variant{};
  data::Balance balance{};
  double residues_of_real = 0;  // computed, padding included, over the samples' own
  double time_of_crop = 0;
};

v1::JobManifest manifest_of(const v1::JobSpec& spec) {
  data::Problems problems;
  const auto rows = data::read_split(spec.data().train_split(), problems);
  try {
    problems.throw_if_any();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  v1::JobManifest manifest;
  for (const data::SplitRow& row : rows) {
    v1::ManifestEntry& entry = *manifest.mutable_train()->add_entries();
    entry.set_name(row.name);
    entry.set_residues(static_cast<std::int32_t>(row.seqres.size()));
  }
  return manifest;
}

// The same samples without padding and alone.
double real_residues(const v1::JobSpec& spec, const v1::JobManifest& manifest, std::int64_t epochs) {
  data::PlanInputs inputs = data::plan_inputs(spec, manifest);
  const data::PaddingRules rules = data::padding_rules(spec);
  for (int i = 0; i < manifest.train().entries_size(); ++i) {
    inputs.sizes.residues[static_cast<std::size_t>(i)] =
        data::shown_residues(rules, manifest.train().entries(i).residues());
  }
  inputs.batch_size = 1;
  return data::balance(inputs, 1, epochs).residues;
}

std::vector<Row> compare(v1::JobSpec spec, const v1::JobManifest& manifest, int ranks, int batch_size,
                         std::int64_t epochs) {
  spec.mutable_optim()->set_batch_size(batch_size);
  std::vector<Row> rows;
  for (const Variant& variant : kVariants) {
    spec.mutable_data()->set_padding(variant.padding);
    spec.mutable_data()->set_order(variant.order);
    Row row{.ranks = ranks, .batch_size = batch_size, .variant = variant};
    row.balance = data::balance(data::plan_inputs(spec, manifest), ranks, epochs, variant.cut);
    row.residues_of_real = row.balance.residues / real_residues(spec, manifest, epochs);
    row.time_of_crop = row.balance.time / (rows.empty() ? row : rows.front()).balance.time;
    rows.push_back(row);
  }
  return rows;
}

const char* cut_name(data::Cut cut) { return cut == data::Cut::kInOrder ? "in order" : "by length"; }

double batches_of_a_step(const data::Balance& balance) {
  return static_cast<double>(balance.micro_batches) / static_cast<double>(balance.steps);
}

std::string table_line(const Row& row) {
  return fmt::format("| {} | {} | {} | {} | {} | {:.3f} | {:.2f} | {:.3f} | {:.3f} | {:.1f} |\n", row.ranks,
                     row.batch_size, row.variant.padding, row.variant.order, cut_name(row.variant.cut),
                     row.balance.imbalance(), row.balance.worst, row.residues_of_real, row.time_of_crop,
                     batches_of_a_step(row.balance));
}

config::Json json_row(const Row& row) {
  return {{"ranks", row.ranks},
          {"batch_size", row.batch_size},
          {"padding", row.variant.padding},
          {"order", row.variant.order},
          {"cut", cut_name(row.variant.cut)},
          {"max_over_mean", row.balance.imbalance()},
          {"worst_step", row.balance.worst},
          {"residues_over_real", row.residues_of_real},
          {"time_over_crop", row.time_of_crop},
          {"micro_batches_a_step", batches_of_a_step(row.balance)}};
}

// What --split alone stands for.
v1::JobSpec atlas_spec(const std::string& split) {
  v1::JobSpec spec;
  spec.set_name("balance");
  v1::DataSpec& data = *spec.mutable_data();
  data.set_train_split(split);
  data.set_data_dir(".");
  data.set_atlas(true);
  data.set_num_frames(250);
  spec.mutable_model()->set_sim_condition(true);
  spec.mutable_loop()->set_no_validate(true);
  return spec;
}

}  // namespace

ExitCode balance(const Options& options, const Surroundings& world) {
  const bool split_alone = !options.split.empty();
  const v1::JobSpec base = split_alone ? atlas_spec(options.split) : v1::JobSpec();
  v1::JobSpec spec = resolved_spec(options, world, base).spec;
  if (!spec.data().overfit_peptide().empty() || spec.data().overfit()) {
    throw UsageError("with overfit or overfit_peptide all samples are equal: there is nothing to balance");
  }
  const int workers = spec.workers().max();
  const int samples =
      options.samples_per_rank.value_or(split_alone ? 4 : (spec.global_batch_size() + workers - 1) / workers);
  const std::vector<int> all_ranks = !options.ranks.empty() ? options.ranks
                                     : split_alone          ? std::vector{8, 64}
                                                            : std::vector{workers};
  const v1::JobManifest manifest = manifest_of(spec);
  config::Json json = config::Json::array();
  std::string table =
      "| ranks | batch_size | padding | order | cut | max/mean | worst step | residues/real | time/crop | "
      "micro-batches a step |\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const int ranks : all_ranks) {
    spec.set_global_batch_size(ranks * samples);
    spec.mutable_workers()->set_max(ranks);
    for (const int batch_size : options.batch_sizes) {
      for (const Row& row : compare(spec, manifest, ranks, batch_size, options.epochs)) {
        table += table_line(row);
        json.push_back(json_row(row));
      }
    }
  }
  if (options.output == Output::kTable) {
    world.out << table;
  } else {
    world.out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json));
  }
  return kExitOk;
}

}  // namespace mdgen::client
