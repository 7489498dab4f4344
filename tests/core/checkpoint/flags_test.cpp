#include "core/checkpoint/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::checkpoint {
namespace {

using format::PickleTree;
using format::PickleValue;
using Kind = PickleValue::Kind;
using Json = nlohmann::ordered_json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The reference's Namespace of a run, by its parser.
Json reference_flags() {
  return Json::parse(read_file(MDGEN_SOURCE_DIR "/tests/core/checkpoint/reference_state_dicts.json"))["args"];
}

PickleValue& to_pickle(PickleTree& tree, const Json& value) {
  if (value.is_null()) return tree.none();
  if (value.is_boolean()) return tree.boolean(value.get<bool>());
  if (value.is_number_integer()) return tree.integer(value.get<std::int64_t>());
  if (value.is_number()) return tree.real(value.get<double>());
  return tree.text(value.get<std::string>());
}

PickleValue& to_pickle_namespace(PickleTree& tree, const Json& flags) {
  PickleValue& args = tree.dict(Kind::kNamespace);
  for (const auto& [name, value] : flags.items()) tree.put(args, name, to_pickle(tree, value));
  return args;
}

TEST(Flags, TheReferencesNamespace_IsUnderstoodWhole) {
  PickleTree tree;
  const ImportedFlags flags = from_namespace(to_pickle_namespace(tree, reference_flags()));
  EXPECT_THAT(flags.unknown, IsEmpty());
  EXPECT_THAT(flags.wrong, IsEmpty());
  EXPECT_EQ(flags.spec.model().embed_dim(), 32);
  EXPECT_TRUE(flags.spec.model().hyena());
  EXPECT_EQ(flags.spec.name(), "default");
  EXPECT_FALSE(flags.spec.loop().has_train_batches());
}

TEST(Flags, OfAnySpec_TheNamespaceHasEveryFlagOfTheReferenceAndNoOther) {
  PickleTree tree;
  const PickleValue& args = to_namespace(tree, config::default_spec());
  const Json flags = reference_flags();
  for (const auto& [name, value] : flags.items()) EXPECT_NE(args.find(name), nullptr) << name;
  EXPECT_EQ(args.items.size(), 2 * flags.size());
}

TEST(Flags, UnsetValues_AreNone_AndTheSuffixIsEmptyText) {
  PickleTree tree;
  const PickleValue& args = to_namespace(tree, config::default_spec());
  for (const char* name :
       {"ckpt", "overfit_peptide", "train_batches", "val_freq", "frame_interval", "cond_interval"})
    EXPECT_TRUE(args.find(name)->is(Kind::kNone)) << name;
  EXPECT_TRUE(args.find("suffix")->is(Kind::kText));
  EXPECT_TRUE(args.find("epochs")->is(Kind::kInt));
  EXPECT_TRUE(args.find("lr")->is(Kind::kFloat));
  EXPECT_TRUE(args.find("atlas")->is(Kind::kBool));
}

// Each flag in turn gets another value and must come back.
TEST(Flags, EveryFlag_ComesBack) {
  for (const config::Field& field : config::Schema::get().fields()) {
    if (!field.rules.reference() || field.key == "checkpoint.ckpt") continue;
    v1::JobSpec spec = config::default_spec();
    const auto before = config::get_value(spec, field);
    for (const char* text : {"true", "7", "0.25", "Linear", "noise", "euler", "64-true", "some_text"}) {
      const auto value = config::parse_value(field, text);
      if (value && value != before && config::is_allowed(field, *value)) {
        config::set_value(spec, field, *value);
        break;
      }
    }
    const auto changed = config::get_value(spec, field);
    ASSERT_NE(changed, before) << field.key;
    PickleTree tree;
    EXPECT_EQ(config::get_value(from_namespace(to_namespace(tree, spec)).spec, field), changed) << field.key;
  }
}

TEST(Flags, UnknownAndImpossibleOnes_AreListed) {
  PickleTree tree;
  const ImportedFlags flags = from_namespace(to_pickle_namespace(
      tree, Json{{"mystery", 3}, {"mha_heads", 0}, {"path_type", "Straight"}, {"seed", 4}, {"lr", "fast"}}));
  EXPECT_THAT(flags.unknown, ElementsAre("mystery = 3", "seed = 4"));
  ASSERT_EQ(flags.wrong.size(), 3U);
  EXPECT_THAT(flags.wrong, Contains(HasSubstr("mha_heads = 0")));
  EXPECT_THAT(flags.wrong, Contains(HasSubstr("path_type = Straight")));
  EXPECT_THAT(flags.wrong, Contains(HasSubstr("lr = fast")));
}

TEST(Flags, FalseWhereAnOlderNamespaceHadNothing_MeansUnset) {
  PickleTree tree;
  const ImportedFlags flags = from_namespace(
      to_pickle_namespace(tree, Json{{"cond_interval", false}, {"ckpt", "old.ckpt"}, {"precision", 32}}));
  EXPECT_THAT(flags.wrong, IsEmpty());
  EXPECT_FALSE(flags.spec.model().has_cond_interval());
  EXPECT_EQ(flags.spec.checkpoint().ckpt(), "");
  EXPECT_EQ(flags.spec.optim().precision(), "32");
}

}  // namespace
}  // namespace mdgen::checkpoint
