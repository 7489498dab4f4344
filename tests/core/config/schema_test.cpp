// Every field of the schema, by reflection: whatever is added to job_spec.proto is covered.
#include <algorithm>

#include "core/base/text.h"
#include "spec_fixture.h"

namespace mdgen::config {
namespace {

using ::testing::HasSubstr;

void for_each_field(const std::function<void(const Field&)>& check) {
  for (const Field& field : Schema::get().fields()) {
    SCOPED_TRACE(field.key);
    check(field);
  }
}

std::string yaml_of(const Field& field, const std::string& text) {
  if (field.group.empty()) return field.name + ": " + text + "\n";
  return field.group + ":\n  " + field.name + ": " + text + "\n";
}

TEST(EveryField, FlagSetsIt) {
  for_each_field([](const Field& field) {
    const std::string text = value_text(sample_value(field));
    std::vector<std::string> names{field.flag, field.key};
    names.insert(names.end(), field.rules.aliases().begin(), field.rules.aliases().end());
    for (std::string name : names) {
      EXPECT_EQ(get_value(from_flags({"--" + name + "=" + text}), field), sample_value(field)) << name;
      std::replace(name.begin(), name.end(), '_', '-');
      EXPECT_EQ(get_value(from_flags({"--" + name + "=" + text}), field), sample_value(field)) << name;
    }
    const bool is_bool = std::holds_alternative<bool>(sample_value(field));
    const auto apart = is_bool ? from_flags({"--" + field.flag}) : from_flags({"--" + field.flag, text});
    EXPECT_EQ(get_value(apart, field), sample_value(field));
  });
}

TEST(EveryField, AssignmentSetsIt) {
  for_each_field([](const Field& field) {
    JobSpec spec;
    apply_assignment(spec, field.key + "=" + value_text(sample_value(field)));
    EXPECT_EQ(get_value(spec, field), sample_value(field));
  });
}

TEST(EveryField, YamlSetsItAlone) {
  for_each_field([](const Field& field) {
    JobSpec expected;
    set_value(expected, field, sample_value(field));
    const JobSpec read = parse_yaml(to_yaml(expected), "t");
    EXPECT_EQ(read.SerializeAsString(), expected.SerializeAsString()) << to_yaml(expected);
  });
}

TEST(EveryField, JsonReadsBack) {
  for_each_field([](const Field& field) {
    JobSpec expected;
    set_value(expected, field, sample_value(field));
    EXPECT_EQ(from_json(to_json(expected)).SerializeAsString(), expected.SerializeAsString())
        << to_json(expected);
    // JSON is YAML too.
    EXPECT_EQ(get_value(parse_yaml(to_json(expected), "t"), field), sample_value(field));
  });
}

TEST(EveryField, DefaultApplies) {
  for_each_field([](const Field& field) {
    if (field.rules.required() || field.rules.path()) {
      EXPECT_TRUE(get_value(resolve(minimal_spec(), "/b").spec, field) || field.rules.default_().empty());
      return;
    }
    const JobSpec resolved = resolve(minimal_spec(), "/b").spec;
    if (field.rules.support() == v1::NEVER_READ) {
      EXPECT_FALSE(get_value(resolved, field));
    } else if (field.key == "global_batch_size") {
      EXPECT_EQ(resolved.global_batch_size(), 8);
    } else if (field.key == "workers.max") {
      EXPECT_EQ(resolved.workers().max(), 1);
    } else {
      EXPECT_EQ(get_value(resolved, field), default_value(field));
    }
  });
}

TEST(EveryField, IllTypedTextIsRefusedByName) {
  for_each_field([](const Field& field) {
    if (std::holds_alternative<std::string>(sample_value(field)) && field.rules.choices().empty()) {
      const std::string bad_utf8 = "\xff\xfe";
      const auto flags = [&] { from_flags({"--" + field.flag, bad_utf8}); };
      EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, flags), HasSubstr(field.key));
      return;
    }
    for (const std::string& text :
         {std::string("abc"), std::string("1e"), std::string("nan"), std::string("3 4")}) {
      const auto flag = [&] { from_flags({"--" + field.flag + "=" + text}); };
      const std::string message = error_of(ErrorCode::kInvalidArgument, flag);
      EXPECT_THAT(message, HasSubstr("--" + field.flag));
      EXPECT_THAT(message, HasSubstr("\"" + text + "\""));
      EXPECT_THAT(message, HasSubstr(allowed_text(field)));
      const auto yaml = [&] { parse_yaml(yaml_of(field, text), "job.yaml"); };
      const std::string place = field.group.empty() ? "job.yaml:1:" : "job.yaml:2:";
      EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, yaml), HasSubstr(place));
    }
  });
}

TEST(EveryField, StructureIsRefused) {
  for_each_field([](const Field& field) {
    for (const std::string& text :
         {std::string("{a: 1}"), std::string("[1, 2]"), std::string("~"), std::string("")}) {
      const auto yaml = [&] { parse_yaml(yaml_of(field, text), "job.yaml"); };
      EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, yaml), HasSubstr(field.key)) << text;
    }
  });
}

TEST(EveryField, GivenTwiceInYamlIsRefused) {
  for_each_field([](const Field& field) {
    JobSpec one;
    set_value(one, field, sample_value(field));
    std::string yaml = to_yaml(one);
    const std::size_t at = yaml.find(field.name + ":");
    yaml += yaml.substr(field.group.empty() ? at : at - 2);
    const auto read = [&] { parse_yaml(yaml, "job.yaml"); };
    EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, read), HasSubstr(field.key + " is given twice"))
        << yaml;
  });
}

TEST(EveryField, NotYetIsRefusedByName) {
  for_each_field([](const Field& field) {
    if (field.rules.support() != v1::NOT_YET) return;
    JobSpec spec = minimal_spec();
    set_value(spec, field, sample_value(field));
    std::string text;  // its code may be kInvalidArgument: some flags are refused without company
    try {
      resolve(spec, "/b");
    } catch (const Error& error) {
      text = error.what();
    }
    EXPECT_THAT(text, HasSubstr(field.key));
  });
}

TEST(EveryField, NeverReadWarns) {
  for_each_field([](const Field& field) {
    JobSpec spec = minimal_spec();
    if (field.rules.support() != v1::NEVER_READ) return;
    set_value(spec, field, sample_value(field));
    const Resolved resolved = resolve(spec, "/b");
    ASSERT_EQ(resolved.warnings.size(), 1U);
    EXPECT_EQ(resolved.warnings[0], field.key + " has no effect: the reference parses it and never reads it");
  });
}

TEST(EveryField, HelpAndTableMentionIt) {
  for_each_field([](const Field& field) {
    EXPECT_FALSE(field.rules.help().empty());
    EXPECT_THAT(flags_help(), HasSubstr("--" + field.flag));
    EXPECT_THAT(flags_help(), HasSubstr(field.rules.help()));
    EXPECT_THAT(markdown_table(), HasSubstr("`" + field.name + "`"));
  });
}

TEST(EveryField, DigestFollowsTheRules) {
  for_each_field([](const Field& field) {
    JobSpec spec;
    set_value(spec, field, sample_value(field));
    EXPECT_EQ(spec_digest(spec) == spec_digest(JobSpec()), field.rules.resume_may_change());
  });
}

TEST(Schema, HasEveryFlagOfTheReference) {
  // parse_train_args of the original, with its defaults ("": none).
  const std::vector<std::pair<std::string, std::string>> reference = {{"ckpt", ""},
                                                                      {"validate", "false"},
                                                                      {"num_workers", "4"},
                                                                      {"epochs", "100"},
                                                                      {"overfit", "false"},
                                                                      {"overfit_peptide", ""},
                                                                      {"overfit_frame", "false"},
                                                                      {"train_batches", ""},
                                                                      {"val_batches", ""},
                                                                      {"val_repeat", "1"},
                                                                      {"inference_batches", "0"},
                                                                      {"batch_size", "8"},
                                                                      {"val_freq", ""},
                                                                      {"val_epoch_freq", "1"},
                                                                      {"no_validate", "false"},
                                                                      {"designability_freq", "1"},
                                                                      {"print_freq", "100"},
                                                                      {"ckpt_freq", "1"},
                                                                      {"wandb", "false"},
                                                                      {"run_name", "default"},
                                                                      {"accumulate_grad", "1"},
                                                                      {"grad_clip", "1.0"},
                                                                      {"check_grad", "false"},
                                                                      {"grad_checkpointing", "false"},
                                                                      {"adamW", "false"},
                                                                      {"ema", "false"},
                                                                      {"ema_decay", "0.999"},
                                                                      {"lr", "0.0001"},
                                                                      {"precision", "32-true"},
                                                                      {"train_split", ""},
                                                                      {"val_split", ""},
                                                                      {"data_dir", ""},
                                                                      {"num_frames", "50"},
                                                                      {"crop", "256"},
                                                                      {"suffix", ""},
                                                                      {"atlas", "false"},
                                                                      {"copy_frames", "false"},
                                                                      {"no_pad", "false"},
                                                                      {"short_md", "false"},
                                                                      {"design_key_frames", "false"},
                                                                      {"no_aa_emb", "false"},
                                                                      {"no_torsion", "false"},
                                                                      {"no_design_torsion", "false"},
                                                                      {"supervise_no_torsions", "false"},
                                                                      {"supervise_all_torsions", "false"},
                                                                      {"no_offsets", "false"},
                                                                      {"no_frames", "false"},
                                                                      {"hyena", "false"},
                                                                      {"no_rope", "false"},
                                                                      {"dropout", "0.0"},
                                                                      {"scale_factor", "1.0"},
                                                                      {"interleave_ipa", "false"},
                                                                      {"prepend_ipa", "false"},
                                                                      {"oracle", "false"},
                                                                      {"num_layers", "5"},
                                                                      {"embed_dim", "384"},
                                                                      {"mha_heads", "16"},
                                                                      {"ipa_heads", "4"},
                                                                      {"ipa_head_dim", "32"},
                                                                      {"ipa_qk", "8"},
                                                                      {"ipa_v", "8"},
                                                                      {"time_multiplier", "100.0"},
                                                                      {"abs_pos_emb", "false"},
                                                                      {"abs_time_emb", "false"},
                                                                      {"path-type", "GVP"},
                                                                      {"prediction", "velocity"},
                                                                      {"sampling_method", "dopri5"},
                                                                      {"alpha_max", "8.0"},
                                                                      {"discrete_loss_weight", "0.5"},
                                                                      {"dirichlet_flow_temp", "1.0"},
                                                                      {"allow_nan_cfactor", "false"},
                                                                      {"tps_condition", "false"},
                                                                      {"design", "false"},
                                                                      {"design_from_traj", "false"},
                                                                      {"sim_condition", "false"},
                                                                      {"inpainting", "false"},
                                                                      {"dynamic_mpnn", "false"},
                                                                      {"mpnn", "false"},
                                                                      {"frame_interval", ""},
                                                                      {"cond_interval", ""}};
  for (const auto& [flag, standard] : reference) {
    const Field* field = Schema::get().by_flag(flag);
    ASSERT_NE(field, nullptr) << flag;
    EXPECT_TRUE(field->rules.reference()) << flag;
    const auto value = default_value(*field);
    if (!standard.empty()) {
      ASSERT_TRUE(value) << flag;
      EXPECT_EQ(value, parse_value(*field, standard)) << flag;
    } else {
      EXPECT_FALSE(value) << flag;
    }
  }
  const auto count = std::count_if(Schema::get().fields().begin(), Schema::get().fields().end(),
                                   [](const Field& field) { return field.rules.reference(); });
  EXPECT_EQ(static_cast<std::size_t>(count), reference.size());
}

}  // namespace
}  // namespace mdgen::config
