#include <filesystem>

#include "core/base/files.h"
#include "spec_fixture.h"

namespace mdgen::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kExample = R"(
name: adk-demo                 # = the original's run_name
seed: 137
work_dir: runs                 # run folder = work_dir/name; relative paths are made absolute against the client's directory
workers: {min: 1, max: 2}
global_batch_size: 4           # default batch_size x accumulate_grad x workers.max
max_steps: 200                 # default: epochs decides
determinism: default           # default | strict
threads_per_worker: 0          # 0 = share the machine; strict: fixed at submit, default 1, independent of the world size
resume: auto                   # auto | require | fresh
reference_compat: false
data:  {train_split: adk.csv, val_split: adk.csv, data_dir: data, atlas: true, num_frames: 16, crop: 64, train_repeat: 64, val_repeat: 4, suffix: ""}
model: {sim_condition: true, prepend_ipa: true, embed_dim: 64, num_layers: 2, mha_heads: 4}
optim: {lr: 1.0e-3, batch_size: 2, precision: 32-true, grad_clip: 1.0, ema: true}
checkpoint: {every_steps: 50, ckpt_freq: 1, keep_last: 3}
)";

std::string yaml_error(const std::string& yaml) {
  return error_of(ErrorCode::kInvalidArgument, [&] { parse_yaml(yaml, "job.yaml"); });
}

std::string flag_error(const std::vector<std::string>& arguments) {
  return error_of(ErrorCode::kInvalidArgument, [&] { from_flags(arguments); });
}

std::string resolve_error(ErrorCode code, const std::vector<std::string>& arguments) {
  JobSpec spec = minimal_spec();
  apply_flags(spec, arguments);
  return error_of(code, [&] { resolve(spec, "/b"); });
}

TEST(ParseYaml, TheInterfacesExample) {
  const Resolved resolved = resolve(parse_yaml(kExample, "job.yaml"), "/home/u");
  const JobSpec& spec = resolved.spec;
  EXPECT_EQ(spec.name(), "adk-demo");
  EXPECT_EQ(spec.work_dir(), "/home/u/runs");
  EXPECT_EQ(spec.data().data_dir(), "/home/u/data");
  EXPECT_EQ(spec.data().train_repeat(), 64);
  EXPECT_EQ(spec.workers().max(), 2);
  EXPECT_EQ(spec.global_batch_size(), 4);
  EXPECT_EQ(spec.max_steps(), 200);
  EXPECT_EQ(spec.optim().lr(), 1e-3);
  EXPECT_TRUE(spec.optim().ema());
  EXPECT_EQ(spec.checkpoint().every_steps(), 50);
  EXPECT_EQ(spec.loop().epochs(), 100);
  EXPECT_THAT(resolved.warnings, ElementsAre());
}

TEST(ParseYaml, EmptyTextAndEmptyGroupsSetNothing) {
  EXPECT_EQ(parse_yaml("", "t").ByteSizeLong(), 0U);
  EXPECT_EQ(parse_yaml("# only a comment\n", "t").ByteSizeLong(), 0U);
  EXPECT_EQ(to_yaml(parse_yaml("data:\n  # crop: 4\nmodel: {}\n", "t")), "{}\n");
}

TEST(ParseYaml, UnknownKeyNamesPlaceValueAndNearest) {
  EXPECT_THAT(yaml_error("name: a\ndata:\n  num_frame: 16\n"),
              AllOf(HasSubstr("job.yaml:3:3"), HasSubstr("\"num_frame\" in data"), HasSubstr("\"16\""),
                    HasSubstr("did you mean \"num_frames\"?"), HasSubstr("known here: train_split")));
  EXPECT_THAT(yaml_error("lr: 1e-3\n"), HasSubstr("did you mean \"optim.lr\"?"));
  EXPECT_THAT(yaml_error("modl: {}\n"), HasSubstr("did you mean \"model\"?"));
  EXPECT_THAT(yaml_error("data: {lr: 1}\n"), HasSubstr("did you mean \"optim.lr\"?"));
  EXPECT_THAT(yaml_error("data: {data: {crop: 1}}\n"), HasSubstr("unknown key \"data\" in data"));
  EXPECT_THAT(yaml_error("data.crop: 4\n"), HasSubstr("unknown key \"data.crop\""));
  EXPECT_THAT(yaml_error("zzzzzzzzzz: 1\n"), Not(HasSubstr("did you mean")));
}

TEST(ParseYaml, IllTypedValuesNamePlaceAndWhatIsAllowed) {
  EXPECT_THAT(yaml_error("data:\n  crop: abc\n"),
              AllOf(HasSubstr("job.yaml:2:9"), HasSubstr("data.crop cannot be \"abc\""),
                    HasSubstr("a whole number from 1 to 65536")));
  EXPECT_THAT(yaml_error("data: {crop: 3.5}"), HasSubstr("\"3.5\""));
  EXPECT_THAT(yaml_error("data: {crop: 1e2}"), HasSubstr("\"1e2\""));
  EXPECT_THAT(yaml_error("data: {crop: 0}"), HasSubstr("from 1 to 65536"));
  EXPECT_THAT(yaml_error("data: {crop: 99999999999999999999}"), HasSubstr("from 1 to 65536"));
  EXPECT_THAT(yaml_error("data: {crop: \"64\"}"), HasSubstr("quoted text"));
  EXPECT_THAT(yaml_error("data: {atlas: 3}"), HasSubstr("allowed: true or false"));
  EXPECT_THAT(yaml_error("data: {atlas: yes}"), HasSubstr("allowed: true or false"));
  EXPECT_THAT(yaml_error("optim: {lr: .inf}"), HasSubstr("a number of at least 0"));
  EXPECT_THAT(yaml_error("optim: {lr: -1}"), HasSubstr("a number of at least 0"));
  EXPECT_THAT(yaml_error("seed: -1"), HasSubstr("a whole number of at least 0"));
  EXPECT_THAT(yaml_error("transport: {path_type: gvp}"), HasSubstr("one of Linear, GVP, VP"));
  EXPECT_THAT(yaml_error("workers: 2"), HasSubstr("workers is a group of keys (min, max, selector)"));
  EXPECT_THAT(yaml_error("data: [1]"), HasSubstr("not a list"));
  EXPECT_THAT(yaml_error("name: ''"), HasSubstr("not empty"));
}

TEST(ParseYaml, RepeatedKeysAreRefused) {
  EXPECT_THAT(yaml_error("seed: 1\nseed: 2\n"), AllOf(HasSubstr("job.yaml:2:1"), HasSubstr("given twice")));
  EXPECT_THAT(yaml_error("data: {}\ndata: {}\n"), HasSubstr("given twice"));
  EXPECT_THAT(yaml_error("name: a\nrun-name: b\n"), HasSubstr("name is given twice"));
}

TEST(ParseYaml, WhatIsNotASpecIsRefused) {
  EXPECT_THAT(yaml_error("- a\n- b\n"), HasSubstr("not a list"));
  EXPECT_THAT(yaml_error("just words"), HasSubstr("\"just words\""));
  EXPECT_THAT(yaml_error("a: 1\n---\nb: 2\n"), HasSubstr("more than one YAML document"));
  EXPECT_THAT(yaml_error("data: {crop: 1\nname: a\n"), AllOf(HasSubstr("job.yaml:"), HasSubstr("not YAML")));
  EXPECT_THAT(yaml_error("? {a: 1}\n: 2\n"), HasSubstr("a key must be a name"));
}

TEST(ApplyFlags, TheReferencesCommandLine) {
  const JobSpec given = from_flags({"--sim_condition",
                                    "--train_split",
                                    "S",
                                    "--val_split",
                                    "V",
                                    "--data_dir",
                                    "D",
                                    "--num_frames",
                                    "250",
                                    "--batch_size",
                                    "1",
                                    "--prepend_ipa",
                                    "--crop",
                                    "256",
                                    "--val_repeat",
                                    "25",
                                    "--epochs",
                                    "10000",
                                    "--atlas",
                                    "--ckpt_freq",
                                    "1",
                                    "--wandb",
                                    "--run_name",
                                    "R"});
  const Resolved resolved = resolve(given, "/b");
  EXPECT_EQ(resolved.spec.name(), "R");
  EXPECT_EQ(resolved.spec.data().train_split(), "/b/S");
  EXPECT_EQ(resolved.spec.data().num_frames(), 250);
  EXPECT_EQ(resolved.spec.data().val_repeat(), 25);
  EXPECT_EQ(resolved.spec.optim().batch_size(), 1);
  EXPECT_EQ(resolved.spec.loop().epochs(), 10000);
  EXPECT_TRUE(resolved.spec.model().prepend_ipa() && resolved.spec.model().sim_condition());
  EXPECT_TRUE(resolved.spec.data().atlas() && resolved.spec.logging().wandb());
  EXPECT_EQ(resolved.spec.global_batch_size(), 1);
  EXPECT_THAT(resolved.warnings, ElementsAre());
}

TEST(ApplyFlags, SpellingsAndOrder) {
  EXPECT_EQ(from_flags({"--path-type", "VP"}).transport().path_type(), "VP");
  EXPECT_EQ(from_flags({"--path_type=Linear"}).transport().path_type(), "Linear");
  EXPECT_EQ(from_flags({"--lr", "1e-4"}).optim().lr(), 1e-4);
  EXPECT_EQ(from_flags({"--lr", "3"}).optim().lr(), 3.0);
  EXPECT_EQ(from_flags({"--time_multiplier", "-2.5"}).model().time_multiplier(), -2.5);
  EXPECT_EQ(from_flags({"--suffix", "_i40"}).data().suffix(), "_i40");
  EXPECT_EQ(from_flags({"--suffix", "-x=y"}).data().suffix(), "-x=y");
  EXPECT_EQ(from_flags({"--suffix="}).data().suffix(), "");
  EXPECT_EQ(from_flags({"--workers.max", "4"}).workers().max(), 4);
  EXPECT_EQ(from_flags({"--crop", "4", "--crop", "5"}).data().crop(), 5);
  EXPECT_FALSE(from_flags({"--atlas", "--atlas=false"}).data().atlas());
  JobSpec spec = parse_yaml("optim: {lr: 0.5, batch_size: 3}", "t");
  apply_flags(spec, std::vector<std::string>{"--lr", "0.25"});
  EXPECT_EQ(spec.optim().lr(), 0.25);
  EXPECT_EQ(spec.optim().batch_size(), 3);
}

TEST(ApplyFlags, Errors) {
  EXPECT_THAT(flag_error({"--num_frame", "3"}),
              AllOf(HasSubstr("\"--num_frame\" (value: \"3\")"), HasSubstr("\"--num_frames\"?")));
  EXPECT_THAT(flag_error({"--num_frame=3"}), HasSubstr("\"--num_frame\" (value: \"3\")"));
  EXPECT_THAT(flag_error({"--num_frame", "--atlas"}), HasSubstr("\"--num_frame\"; did you mean"));
  EXPECT_THAT(flag_error({"--max", "3"}), HasSubstr("unknown flag \"--max\""));
  EXPECT_THAT(flag_error({"--crop", "3.5"}),
              AllOf(HasSubstr("--crop"), HasSubstr("3.5"), HasSubstr("whole number")));
  EXPECT_THAT(flag_error({"--crop"}), HasSubstr("a value is missing"));
  EXPECT_THAT(flag_error({"--crop", "--atlas"}), HasSubstr("a value is missing"));
  EXPECT_THAT(flag_error({"--crop="}), HasSubstr("whole number"));
  EXPECT_THAT(flag_error({"--atlas=3"}), HasSubstr("true or false"));
  EXPECT_THAT(flag_error({"--atlas", "false"}), HasSubstr("--atlas=false"));
  EXPECT_THAT(flag_error({"stray"}), HasSubstr("\"stray\" is not a flag"));
  EXPECT_THAT(flag_error({"-crop", "3"}), HasSubstr("did you mean \"--crop\"?"));
  EXPECT_THAT(flag_error({"--", "3"}), HasSubstr("\"--\" is not a flag"));
}

TEST(ApplyAssignment, PathsLeavesAndErrors) {
  JobSpec spec;
  apply_assignment(spec, "optim.lr=1e-3");
  apply_assignment(spec, "workers.max=4");
  apply_assignment(spec, "path-type=VP");
  apply_assignment(spec, "suffix=a=b");
  EXPECT_EQ(spec.optim().lr(), 1e-3);
  EXPECT_EQ(spec.workers().max(), 4);
  EXPECT_EQ(spec.transport().path_type(), "VP");
  EXPECT_EQ(spec.data().suffix(), "a=b");
  const auto error = [&](const std::string& text) {
    return error_of(ErrorCode::kInvalidArgument, [&] { apply_assignment(spec, text); });
  };
  EXPECT_THAT(error("optim.ls=1"), AllOf(HasSubstr("\"optim.ls\""), HasSubstr("did you mean \"optim.lr\"?")));
  EXPECT_THAT(error("optim.lr"), HasSubstr("key=value"));
  EXPECT_THAT(error("optim=1"), HasSubstr("unknown key"));
  EXPECT_THAT(error("data.lr=1"), AllOf(HasSubstr("unknown key"), HasSubstr("did you mean \"optim.lr\"?")));
  EXPECT_THAT(error("data.num_layers=1"), HasSubstr("did you mean \"model.num_layers\"?"));
}

TEST(Resolve, ListsAllThatIsMissing) {
  const std::string none = error_of(ErrorCode::kInvalidArgument, [] { resolve(JobSpec(), "/b"); });
  EXPECT_THAT(none, HasSubstr("missing, but required: data.train_split, data.val_split, data.data_dir"));
  const auto call = [] { resolve(from_flags({"--no_validate", "--data_dir", "d"}), "/b"); };
  const std::string without_validation = error_of(ErrorCode::kInvalidArgument, call);
  EXPECT_THAT(without_validation, AllOf(HasSubstr("data.train_split"), Not(HasSubstr("val_split"))));
  EXPECT_NO_THROW(resolve(from_flags({"--no_validate", "--data_dir", "d", "--train_split", "s"}), "/b"));
}

TEST(Resolve, AutoPrecision_IsFloat32UnderStrict) {
  JobSpec spec = minimal_spec();
  apply_assignment(spec, "precision=auto");
  EXPECT_EQ(resolve(spec, "/b").spec.optim().precision(), "auto");
  apply_assignment(spec, "determinism=strict");
  EXPECT_EQ(resolve(spec, "/b").spec.optim().precision(), "32-true");
}

TEST(Resolve, PathsAndDerivedValues) {
  JobSpec spec = minimal_spec();
  apply_flags(spec, std::vector<std::string>{"--data_dir", "../share/data/", "--work_dir", "/runs/./x",
                                             "--batch_size", "3", "--accumulate_grad", "2", "--workers.min",
                                             "4", "--precision", "32"});
  const JobSpec resolved = resolve(spec, "/home/u").spec;
  EXPECT_EQ(resolved.data().data_dir(), "/home/share/data");
  EXPECT_EQ(resolved.work_dir(), "/runs/x");
  EXPECT_EQ(resolved.workers().max(), 4);
  EXPECT_EQ(resolved.global_batch_size(), 24);
  EXPECT_EQ(resolved.optim().precision(), "32-true");
  EXPECT_EQ(resolve(resolved, "/elsewhere").spec.SerializeAsString(), resolved.SerializeAsString());
  EXPECT_TRUE(std::filesystem::path(resolve(minimal_spec(), ".").spec.data().data_dir()).is_absolute());
}

TEST(Resolve, GlobalBatchSizeThatOverflowsIsRefused) {
  const std::vector<std::string> huge{"--batch_size", "65536",         "--accumulate_grad",
                                      "2147483647",   "--workers.max", "4096"};
  EXPECT_THAT(resolve_error(ErrorCode::kInvalidArgument, huge), HasSubstr("65536 x 2147483647 x 4096"));
}

TEST(Check, Combinations) {
  const auto wrong = [](const std::vector<std::string>& flags) {
    return resolve_error(ErrorCode::kInvalidArgument, flags);
  };
  EXPECT_THAT(wrong({"--embed_dim", "60", "--mha_heads", "16"}), HasSubstr("model.mha_heads = 16"));
  EXPECT_THAT(wrong({"--embed_dim", "48", "--mha_heads", "16"}), HasSubstr("even"));
  EXPECT_THAT(wrong({"--workers.min", "3", "--workers.max", "2"}), HasSubstr("workers.max = 2 is below"));
  for (const std::string name : {".", "..", "a/b", "-a", "a b", ".hidden", "ü", "a\nb"}) {
    EXPECT_THAT(wrong({"--run_name=" + name}), HasSubstr("name cannot be")) << name;
  }
  EXPECT_THAT(wrong({"--run_name=" + std::string(129, 'a')}), HasSubstr("1 to 128"));
  EXPECT_THAT(wrong({"--no_rope", "--embed_dim", "45", "--mha_heads", "15", "--abs_time_emb"}),
              HasSubstr("must be even for abs_pos_emb"));
  EXPECT_THAT(wrong({"--no_rope", "--embed_dim", "45", "--mha_heads", "16"}),
              HasSubstr("model.mha_heads = 16"));
  EXPECT_NO_THROW(resolve(minimal_spec(), "/b"));
}

TEST(Check, LabelsSelectorAndAfter_AreListsOfWords) {
  JobSpec spec = minimal_spec();
  apply_flags(spec,
              std::vector<std::string>{"--labels", "team=md,pilot", "--workers.selector", "gpu=h200, zone=a",
                                       "--after", "prep, pilot", "--deadline_seconds", "3600.5"});
  const JobSpec resolved = resolve(spec, "/b").spec;
  EXPECT_EQ(resolved.workers().selector(), "gpu=h200, zone=a");
  EXPECT_DOUBLE_EQ(resolved.deadline_seconds(), 3600.5);
  const auto wrong = [](const std::string& flag, const std::string& text) {
    return resolve_error(ErrorCode::kInvalidArgument, {flag, text});
  };
  EXPECT_THAT(wrong("--labels", "a b"), AllOf(HasSubstr("labels: \"a b\""), HasSubstr("key=value")));
  EXPECT_THAT(wrong("--workers.selector", "gpu!=h200"), HasSubstr("workers.selector: \"gpu!=h200\""));
  EXPECT_THAT(wrong("--after", "prep,,pilot"), HasSubstr("after = \"prep,,pilot\" has an empty word"));
  EXPECT_THAT(wrong("--after", "prep, prep"), HasSubstr("after names prep twice"));
}

TEST(Check, RestartOn_NamesKindsThatThereAre) {
  for (const char* fine : {"all", "none", "hang", "killed, worker_lost"}) {
    JobSpec spec = minimal_spec();
    apply_flags(spec, std::vector<std::string>{"--restart_on", fine});
    EXPECT_NO_THROW(resolve(spec, "/b")) << fine;
  }
  for (const char* wrong : {"hang,never", "all,hang", "none,all"})
    EXPECT_THAT(resolve_error(ErrorCode::kInvalidArgument, {"--restart_on", wrong}),
                AllOf(HasSubstr("recovery.restart_on names"), HasSubstr("out_of_memory")))
        << wrong;
}

TEST(StrictSpec, ThreadsAreFixedAtSubmit) {
  const auto spec_of = [](const std::vector<std::string>& arguments) {
    JobSpec spec = minimal_spec();
    apply_flags(spec, arguments);
    return resolve(spec, "/b").spec;
  };
  const JobSpec strict = spec_of({"--determinism", "strict"});
  EXPECT_EQ(strict.threads_per_worker(), 1);
  const JobSpec four = spec_of({"--determinism", "strict", "--threads_per_worker", "4"});
  EXPECT_EQ(four.threads_per_worker(), 4);
  EXPECT_EQ(spec_of({}).threads_per_worker(), 0);
  // A resume with other threads would give other bits.
  EXPECT_NE(spec_digest(strict), spec_digest(four));
  EXPECT_EQ(spec_digest(spec_of({})), spec_digest(spec_of({"--threads_per_worker", "4"})));
}

TEST(Check, NamesAllThatIsWrongAtOnce) {
  const std::string text =
      resolve_error(ErrorCode::kInvalidArgument, {"--run_name", "..", "--embed_dim", "7"});
  EXPECT_THAT(text, AllOf(HasSubstr("name cannot be"), HasSubstr("model.embed_dim")));
}

TEST(Check, RefusesASpecThatWasNotResolved) {
  const auto code_of = [](const JobSpec& spec) {
    return error_of(ErrorCode::kInvalidArgument, [&] { check(spec); });
  };
  EXPECT_THAT(code_of(minimal_spec()), HasSubstr("optim.lr is not set"));
  JobSpec relative = resolve(minimal_spec(), "/b").spec;
  relative.mutable_data()->set_data_dir("d");
  EXPECT_THAT(code_of(relative), HasSubstr("data.data_dir = \"d\" is not an absolute path"));
  JobSpec bound = resolve(minimal_spec(), "/b").spec;
  bound.mutable_data()->set_crop(0);
  EXPECT_THAT(code_of(bound), HasSubstr("data.crop cannot be \"0\""));
}

TEST(Warnings, FieldsWithoutEffect) {
  JobSpec spec = minimal_spec();
  apply_flags(
      spec, std::vector<std::string>{"--crop", "4", "--ema_decay", "0.5", "--no_pad", "--scale_factor", "1"});
  EXPECT_THAT(resolve(spec, "/b").warnings,
              ElementsAre(HasSubstr("data.no_pad has no effect"), HasSubstr("model.scale_factor"),
                          HasSubstr("data.crop has no effect"), HasSubstr("optim.ema_decay")));
  apply_flags(spec, std::vector<std::string>{"--abs_pos_emb", "--ema"});
  EXPECT_EQ(resolve(spec, "/b").warnings.size(), 2U);
  JobSpec idle = minimal_spec();
  apply_flags(
      idle, std::vector<std::string>{"--batch_size", "2", "--global_batch_size", "3", "--workers.max", "2"});
  EXPECT_THAT(resolve(idle, "/b").warnings, ElementsAre());
  apply_flags(idle, std::vector<std::string>{"--workers.max", "3"});
  EXPECT_THAT(resolve(idle, "/b").warnings,
              ElementsAre(HasSubstr("has 2 micro-batches: fewer than workers.max = 3")));
}

TEST(RoundTrip, ResolvedSpec) {
  const JobSpec spec = resolve(parse_yaml(kExample, "t"), "/b").spec;
  EXPECT_EQ(parse_yaml(to_yaml(spec), "t").SerializeAsString(), spec.SerializeAsString());
  EXPECT_EQ(from_json(to_json(spec)).SerializeAsString(), spec.SerializeAsString());
}

TEST(ToYaml, IsTextThatEveryReaderTakesAlike) {
  JobSpec spec;
  spec.set_name("123");
  spec.set_work_dir("null");
  spec.mutable_optim()->set_lr(1e-4);
  spec.mutable_optim()->set_grad_clip(1);
  EXPECT_EQ(to_yaml(spec), "name: \"123\"\nwork_dir: \"null\"\noptim:\n  lr: 1.0e-04\n  grad_clip: 1.0\n");
}

TEST(FromJson, UnknownKeyIsRefused) {
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { from_json(R"({"nme": 1})"); }), HasSubstr("nme"));
}

TEST(MarkdownTable, TheCommittedPageIsFresh) {
  EXPECT_EQ(read_file(std::filesystem::path(MDGEN_SOURCE_DIR) / "docs/spec.md"), markdown_table())
      << "regenerate it: build/bin/mdgenctl spec --markdown > docs/spec.md";
}

TEST(Configs, EachLoadsAndResolves) {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(MDGEN_SOURCE_DIR) / "configs")) {
    SCOPED_TRACE(entry.path());
    ASSERT_EQ(entry.path().extension(), ".yaml");
    const JobSpec spec = parse_yaml(read_file(entry.path()), entry.path().filename().string());
    EXPECT_THAT(resolve(spec, "/b").warnings, ElementsAre());
    ++count;
  }
  EXPECT_GE(count, 2);
}

}  // namespace
}  // namespace mdgen::config
