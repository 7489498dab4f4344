// Specs and assignments of small training runs on a synthetic data set. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/config/spec.h"
#include "core/data/manifest.h"
#include "core/data/plan.h"
#include "mdgen/v1/run.pb.h"
#include "tests/support/synthetic_dataset.h"

namespace mdgen::testing {

// A resolved spec of a tiny model; `assignments` such as "lr=0.01" override and add.
inline v1::JobSpec tiny_spec(const SyntheticDataset& data, const std::filesystem::path& work_dir,
                             const std::vector<std::string>& assignments) {
  v1::JobSpec spec;
  std::vector<std::string> all = {"name=run",
                                  "work_dir=" + work_dir.string(),
                                  "train_split=" + data.train_split.string(),
                                  "val_split=" + data.val_split.string(),
                                  "data_dir=" + data.data_dir.string(),
                                  "atlas=true",
                                  "num_frames=3",
                                  "crop=8",
                                  "train_repeat=3",
                                  "num_workers=1",
                                  "sim_condition=true",
                                  "prepend_ipa=true",
                                  "num_layers=1",
                                  "embed_dim=16",
                                  "mha_heads=2",
                                  "ipa_heads=2",
                                  "ipa_head_dim=4",
                                  "ipa_qk=2",
                                  "ipa_v=2",
                                  "batch_size=1",
                                  "global_batch_size=4",
                                  "ema=true",
                                  "lr=0.003",
                                  "epochs=4",
                                  "ckpt_freq=100",
                                  "no_validate=true"};
  all.insert(all.end(), assignments.begin(), assignments.end());
  for (const std::string& assignment : all) config::apply_assignment(spec, assignment);
  return config::resolve(spec, work_dir).spec;
}

inline v1::Assignment assignment_for(const v1::JobSpec& spec, int rank = 0, int world_size = 1,
                                     std::int64_t generation = 1) {
  v1::Assignment assignment;
  assignment.mutable_id()->set_job_id("job");
  assignment.mutable_id()->set_generation(generation);
  assignment.set_rank(rank);
  assignment.set_world_size(world_size);
  *assignment.mutable_spec() = spec;
  assignment.set_run_folder(spec.work_dir() + "/" + spec.name());
  *assignment.mutable_manifest() = data::build_manifest(spec).manifest;
  data::RunPlan plan(data::plan_inputs(spec, assignment.manifest()));
  assignment.mutable_plan()->set_first_step(-1);
  assignment.mutable_plan()->set_end_step(plan.total_steps());
  assignment.mutable_plan()->set_world_size(world_size);
  assignment.mutable_plan()->set_plan_digest(data::plan_digest(plan.inputs()));
  assignment.set_device("cpu");
  assignment.set_threads(1);
  assignment.set_bind_address("127.0.0.1");
  return assignment;
}

// Every line of metrics.jsonl.
inline std::vector<nlohmann::json> lines_of(const v1::JobSpec& spec) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(spec.work_dir() + "/" + spec.name() + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// The lines that have this key: "loss" for steps, "val_loss" for validations, "train_loss" for epochs.
inline std::vector<nlohmann::json> lines_with(const v1::JobSpec& spec, const std::string& key) {
  std::vector<nlohmann::json> lines = lines_of(spec);
  std::erase_if(lines, [&](const nlohmann::json& line) { return !line.contains(key); });
  return lines;
}

// The lines of steps and validations.
inline std::vector<nlohmann::json> metrics_of(const v1::JobSpec& spec) {
  std::vector<nlohmann::json> lines = lines_of(spec);
  std::erase_if(
      lines, [](const nlohmann::json& line) { return !line.contains("loss") && !line.contains("val_loss"); });
  return lines;
}

// step, loss and grad_norm (or val_loss) of every step and validation: what a resumed run must repeat bit
// for bit.
inline std::vector<std::vector<double>> curve_of(const v1::JobSpec& spec) {
  std::vector<std::vector<double>> points;
  for (const nlohmann::json& line : metrics_of(spec)) {
    if (line.contains("val_loss")) {
      points.push_back({line["step"], line["val_loss"]});
    } else {
      points.push_back({line["step"], line["loss"], line["grad_norm"]});
    }
  }
  return points;
}

}  // namespace mdgen::testing
