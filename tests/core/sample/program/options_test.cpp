#include "core/sample/program/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <functional>

#include "core/config/spec.h"

namespace mdgen::sample {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Options parse(Verb verb, const std::string& line) {
  Options options;
  options.verb = verb;
  CLI::App app;
  add_options(app, options);
  app.parse(line);
  return options;
}

// The original README's commands; what is out of scope is said by the usage problem.
TEST(Options, TheOriginalsCommandLinesAreUnderstood) {
  const Options sim =
      parse(Verb::kSim,
            "--sim_ckpt forward_sim.ckpt --data_dir share/4AA_sims --split splits/4AA_test.csv "
            "--num_rollouts 10 --num_frames 1000 --xtc --out_dir out");
  EXPECT_EQ(sim.checkpoint, "forward_sim.ckpt");
  EXPECT_EQ(sim.num_rollouts, 10);
  EXPECT_EQ(sim.num_frames, 1000);
  EXPECT_TRUE(sim.xtc);
  EXPECT_EQ(usage_problem(sim), "");

  const Options tps =
      parse(Verb::kTps,
            "--sim_ckpt interpolation.ckpt --data_dir share/4AA_sims --split splits/4AA_test.csv "
            "--num_frames 100 --suffix _i100 --mddir data/4AA_sims  --out_dir out");
  EXPECT_EQ(tps.suffix, "_i100");
  EXPECT_EQ(tps.batch_size, 10);
  EXPECT_EQ(tps.num_batches, 100);
  EXPECT_THAT(usage_problem(tps), HasSubstr("--start_idx and --end_idx, or --endpoints FILE"));

  const Options up = parse(Verb::kUpsample,
                           "--ckpt upsampling.ckpt --split splits/4AA_implicit_test.csv --out_dir outpdb/x "
                           "--batch_size 10 --xtc --out_dir out");
  EXPECT_EQ(up.checkpoint, "upsampling.ckpt");
  EXPECT_EQ(usage_problem(up), "");

  const Options design =
      parse(Verb::kDesign,
            "--sim_ckpt inpainting.ckpt --split splits/4AA_test.csv --data_dir data/4AA_data/ "
            "--num_frames 100 --mddir data/4AA_sims --random_start_idx --out_dir out");
  EXPECT_TRUE(design.random_start_idx);
  EXPECT_EQ(usage_problem(design), "");
  const Options transitions = parse(Verb::kDesign,
                                    "--sim_ckpt inpainting.ckpt --split splits/4AA_test.csv --data_dir "
                                    "data/4AA_data/ --num_frames 100 --mddir data/4AA_sims --out_dir out");
  EXPECT_THAT(usage_problem(transitions), HasSubstr("--random_start_idx, --start_idx or --endpoints FILE"));

  const Options atlas =
      parse(Verb::kSim,
            "--sim_ckpt atlas.ckpt --data_dir share/data_atlas/ --num_frames 250 --num_rollouts "
            "1 --split splits/atlas_test.csv --suffix _R1 --out_dir out");
  EXPECT_EQ(atlas.suffix, "_R1");
  EXPECT_FALSE(atlas.xtc);
  EXPECT_EQ(usage_problem(atlas), "");
}

TEST(Options, ListsAndNegativeFrames) {
  const Options options =
      parse(Verb::kTps, "--ckpt c --start_idx 0 4 --end_idx -1 --pdb_id a b --chunk_idx 1 --n_chunks 2");
  EXPECT_THAT(options.start_idx, ElementsAre(0, 4));
  EXPECT_THAT(options.end_idx, ElementsAre(-1));
  EXPECT_THAT(options.pdb_id, ElementsAre("a", "b"));
  EXPECT_EQ(usage_problem(options), "");
  EXPECT_TRUE(parse(Verb::kSim, "--ckpt c --pdb_id").pdb_id.empty());
}

TEST(UsageProblem, NamesTheFlag) {
  const auto problem = [](Verb verb, const std::string& line) { return usage_problem(parse(verb, line)); };
  EXPECT_THAT(problem(Verb::kSim, "--ckpt c --tps"), HasSubstr("mdgen-sample tps"));
  EXPECT_THAT(problem(Verb::kSim, "--ckpt c --chunk_idx 2 --n_chunks 2"), HasSubstr("--chunk_idx 2"));
  EXPECT_THAT(problem(Verb::kSim, "--ckpt c --device gpu"), HasSubstr("--device gpu"));
  EXPECT_THAT(problem(Verb::kSim, "--ckpt c --device cuda:x"), HasSubstr("--device cuda:x"));
  EXPECT_EQ(problem(Verb::kSim, "--ckpt c --device cuda:1"), "");
  EXPECT_THAT(problem(Verb::kSim, "--ckpt c --suffix a/b"), HasSubstr("--suffix"));
  EXPECT_THAT(problem(Verb::kTps, "--ckpt c --start_idx 1"), HasSubstr("--end_idx"));
  EXPECT_THAT(problem(Verb::kTps, "--ckpt c --start_idx 1 --end_idx 2 --endpoints e"), HasSubstr("excludes"));
  EXPECT_THAT(problem(Verb::kDesign, "--ckpt c --start_idx 1 --random_start_idx"), HasSubstr("excludes"));
}

struct Training {
  const char* name;
  std::function<void(v1::JobSpec&)> set;
  Verb verb;  // what it is for
};

TEST(WhyNot, AModelDoesWhatItWasTrainedFor) {
  const std::vector<Training> trainings = {
      {"sim", [](auto& spec) { spec.mutable_model()->set_sim_condition(true); }, Verb::kSim},
      {"tps", [](auto& spec) { spec.mutable_model()->set_tps_condition(true); }, Verb::kTps},
      {"upsampling",
       [](auto& spec) {
         spec.mutable_model()->set_sim_condition(true);
         spec.mutable_model()->set_cond_interval(10);
       },
       Verb::kUpsample},
      {"inpainting", [](auto& spec) { spec.mutable_model()->set_inpainting(true); }, Verb::kDesign},
      {"mpnn",
       [](auto& spec) {
         spec.mutable_model()->set_mpnn(true);
         spec.mutable_model()->set_design(true);
       },
       Verb::kDesign},
  };
  for (const Training& training : trainings) {
    v1::JobSpec spec = config::default_spec();
    training.set(spec);
    for (const Verb verb : {Verb::kSim, Verb::kTps, Verb::kUpsample, Verb::kDesign}) {
      Options options;
      options.verb = verb;
      options.checkpoint = "run/x";
      const std::string reason = why_not(options, spec);
      if (verb == training.verb)
        EXPECT_EQ(reason, "") << training.name;
      else
        EXPECT_THAT(reason, HasSubstr("run/x: the model was trained with")) << training.name;
    }
  }
  Options options;
  EXPECT_THAT(why_not(options, config::default_spec()), HasSubstr("without sim_condition"));
}

TEST(WhyNot, SizesAndFramesMustFit) {
  v1::JobSpec spec = config::default_spec();
  spec.mutable_model()->set_sim_condition(true);
  Options options;
  options.no_frames = true;
  EXPECT_THAT(why_not(options, spec), HasSubstr("--no_frames"));
  spec.mutable_model()->set_cond_interval(60);
  options.no_frames = false;
  options.verb = Verb::kUpsample;
  EXPECT_THAT(why_not(options, spec), HasSubstr("cond_interval"));
}

TEST(Complete, TheCheckpointSaysWhatTheCommandLineDoesNot) {
  v1::JobSpec spec = config::default_spec();
  spec.mutable_data()->set_data_dir("/d");
  spec.mutable_data()->set_val_split("/v.csv");
  spec.mutable_data()->set_num_frames(20);
  Options options = parse(Verb::kUpsample, "--ckpt c");
  complete(options, spec);
  EXPECT_EQ(options.data_dir, "/d");
  EXPECT_EQ(options.split, "/v.csv");
  EXPECT_EQ(options.num_frames, 20);
  EXPECT_EQ(options.suffix, "_i100");
  EXPECT_TRUE(options.xtc);
  EXPECT_EQ(spec.transport().sampling_method(), "dopri5");

  Options other =
      parse(Verb::kSim, "--ckpt c --num_frames 7 --sampling_method euler --ode_steps 9 --rtol 0.1");
  complete(other, spec);
  EXPECT_EQ(other.num_frames, 7);
  EXPECT_EQ(other.suffix, "");
  EXPECT_FALSE(other.xtc);
  EXPECT_EQ(spec.transport().sampling_method(), "euler");
  EXPECT_EQ(spec.transport().ode_steps(), 9);
  EXPECT_EQ(spec.transport().ode_rtol(), 0.1);
}

}  // namespace
}  // namespace mdgen::sample
