#include "core/train/heal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/base/fast_digest.h"
#include "core/train/state_image.h"
#include "core/train/step_log.h"
#include "tests/support/collective_backends.h"

namespace mdgen::train {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Holding holding(std::int64_t generation, std::int64_t applied, const std::string& digest,
                std::int64_t boundary = 0) {
  Holding holding;
  holding.resident = !digest.empty();
  holding.generation = generation;
  holding.applied = applied;
  holding.boundary = boundary;
  holding.digest = digest;
  return holding;
}
const Holding kNew = holding(0, 0, "");

TEST(ChooseSource, NobodyHoldsAnything_TakesTheCheckpoint) {
  const HealChoice choice = choose_source({kNew, kNew, kNew});
  EXPECT_EQ(choice.source, -1);
  EXPECT_THAT(choice.heals, IsEmpty());
  EXPECT_THAT(choice.deviating, IsEmpty());
}

TEST(ChooseSource, AllHoldTheSame_NobodyIsHealed) {
  const HealChoice choice = choose_source({holding(1, 7, "a"), holding(1, 7, "a")});
  EXPECT_EQ(choice.source, 0);
  EXPECT_THAT(choice.heals, IsEmpty());
}

TEST(ChooseSource, NewRanks_AreHealedByTheLowestThatHolds) {
  const HealChoice choice = choose_source({kNew, holding(1, 7, "a"), holding(1, 7, "a"), kNew});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.heals, ElementsAre(0, 3));
}

TEST(ChooseSource, RankOneStepBehind_IsHealed) {
  const HealChoice choice = choose_source({holding(1, 6, "a"), holding(1, 7, "b"), holding(1, 6, "a")});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.heals, ElementsAre(0, 2));
  EXPECT_THAT(choice.deviating, IsEmpty());
}

TEST(ChooseSource, StateThatIsNotWhole_DoesNotCount) {
  Holding broken = holding(1, 8, "");
  const HealChoice choice = choose_source({broken, holding(1, 7, "a"), broken});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.heals, ElementsAre(0, 2));
}

TEST(ChooseSource, OlderGeneration_MayHaveBeenRolledBackAndIsHealed) {
  const HealChoice choice = choose_source({holding(1, 100, "old"), holding(2, 95, "a"), holding(2, 95, "a")});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.heals, ElementsAre(0));
  EXPECT_THAT(choice.deviating, IsEmpty());
}

TEST(ChooseSource, MinorityThatDiffers_IsNamedAndHealed) {
  const HealChoice choice = choose_source({holding(1, 7, "x"), holding(1, 7, "a"), kNew, holding(1, 7, "a")});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.deviating, ElementsAre(0));
  EXPECT_THAT(choice.heals, ElementsAre(0, 2));
}

TEST(ChooseSource, NoMajority_NobodyIsRight) {
  for (const std::vector<Holding>& holders : {std::vector<Holding>{holding(1, 7, "a"), holding(1, 7, "b")},
                                              std::vector<Holding>{holding(1, 7, "a"), holding(1, 7, "a"),
                                                                   holding(1, 7, "b"), holding(1, 7, "c")}}) {
    const HealChoice choice = choose_source(holders);
    EXPECT_EQ(choice.source, -1);
    EXPECT_THAT(choice.heals, IsEmpty());
    EXPECT_EQ(choice.deviating.size(), holders.size());
  }
}

TEST(ChooseSource, FurtherInItsBoundary_IsTheSource) {
  const HealChoice choice =
      choose_source({holding(1, 6, "a", 3), holding(1, 6, "a", 6), holding(1, 6, "a", 6)});
  EXPECT_EQ(choice.source, 1);
  EXPECT_THAT(choice.heals, IsEmpty());
}

TEST(StepLog, Bytes_KeepEveryBit) {
  StepLog log;
  v1::StepReport step;
  step.set_step(41);
  step.set_loss(0.1);
  step.set_grad_norm(std::numeric_limits<double>::infinity());
  const LogRecord record{.prefix = "train",
                         .means = {{"loss", 1.0 / 3}, {"dur", std::numeric_limits<double>::infinity()}},
                         .named = {},
                         .epoch = 2,
                         .trainer_step = 41,
                         .iter_step = 82,
                         .count = 5,
                         .lr = 1e-4};
  log.add(step, {record});
  v1::ValidationReport validation;
  validation.set_step(41);
  validation.set_val_loss(2.0 / 3);
  LogRecord val = record;
  val.prefix = "val";
  val.named.numbers["validity"] = 0.7;
  val.named.texts["sequence"] = {"GA\xC3", "x"};
  log.add({validation, val});

  const StepLog same = StepLog::from_bytes(log.to_bytes());
  ASSERT_EQ(same.steps().size(), 1U);
  const LoggedStep& entry = same.steps().front();
  EXPECT_EQ(entry.report.SerializeAsString(), step.SerializeAsString());
  ASSERT_EQ(entry.records.size(), 1U);
  EXPECT_EQ(entry.records[0].means, record.means);
  EXPECT_EQ(entry.records[0].iter_step, 82);
  EXPECT_EQ(entry.records[0].lr, 1e-4);
  ASSERT_TRUE(entry.validation);
  EXPECT_EQ(entry.validation->report.val_loss(), 2.0 / 3);
  EXPECT_EQ(entry.validation->record.named.numbers, val.named.numbers);
  EXPECT_EQ(entry.validation->record.named.texts, val.named.texts);
  EXPECT_THROW(StepLog::from_bytes("\x01"), Error);
  EXPECT_EQ(StepLog::from_json(log.added_to_json("{}")).to_bytes(), log.to_bytes());
  EXPECT_TRUE(StepLog::from_json("{}").steps().empty());
}

TEST(StepLog, KeepsTheLastSixteenWithoutAGap) {
  StepLog log;
  v1::StepReport step;
  for (int i = 1; i <= 20; ++i) {
    step.set_step(i);
    log.add(step, {});
  }
  EXPECT_EQ(log.steps().size(), StepLog::kSteps);
  EXPECT_EQ(log.steps().front().report.step(), 5);
  step.set_step(30);
  log.add(step, {});
  EXPECT_EQ(log.steps().size(), 1U);
}

checkpoint::TrainState some_state() {
  checkpoint::TrainState state;
  state.model = {{"a", at::arange(7, at::kFloat)},
                 {"b.c", at::arange(12, at::kBFloat16).reshape({3, 4}).t()},
                 {"empty", at::empty({0, 3}, at::kDouble)},
                 {"flag", at::ones({3}, at::kBool)}};
  state.ema = {{"a", at::full({7}, std::numeric_limits<float>::quiet_NaN())}};
  state.optimizer = {{"step", at::scalar_tensor(5, at::kLong)}};
  state.summary.step = 5;
  return state;
}

TEST(StateDigest, SeesEveryPart) {
  const std::string digest = state_digest(some_state());
  EXPECT_EQ(digest, state_digest(some_state()));
  EXPECT_EQ(digest.size(), 16U);
  const auto changed = [&](const std::function<void(checkpoint::TrainState&)>& change) {
    checkpoint::TrainState state = some_state();
    change(state);
    return state_digest(state) != digest;
  };
  EXPECT_TRUE(changed([](auto& state) { state.model["a"].view(at::kByte)[5].bitwise_xor_(1); }));
  EXPECT_TRUE(changed([](auto& state) { state.model["flag"][1] = false; }));
  EXPECT_TRUE(changed([](auto& state) { state.model["a"] = state.model["a"].to(at::kDouble); }));
  EXPECT_TRUE(changed([](auto& state) { state.model["empty"] = at::empty({3, 0}, at::kDouble); }));
  EXPECT_TRUE(changed([](auto& state) { state.ema.clear(); }));
  EXPECT_TRUE(changed([](auto& state) { state.optimizer["step"] += 1; }));
  EXPECT_TRUE(changed([](auto& state) { state.summary.step = 6; }));
}

TEST(FastDigest, IsXxh3) {
  FastDigest digest;
  EXPECT_EQ(digest.hex(), "2d06800538d394c2");  // the specification's value of the empty text
}

TEST(StateLayout, Json_GivesItBack) {
  const StateLayout layout = layout_of(some_state());
  EXPECT_EQ(state_layout_from_json(to_json(layout)), layout);
  for (const TensorPlace& place : layout.places) EXPECT_EQ(place.offset % 64, 0) << place.name;
}

class BroadcastTensors : public ::testing::TestWithParam<mdgen::testing::Backend> {};

TEST_P(BroadcastTensors, ReceiversHaveTheSourcesBits) {
  const checkpoint::TrainState sent = some_state();
  std::vector<checkpoint::TrainState> got(static_cast<std::size_t>(GetParam().world_size));
  mdgen::testing::run_group_or_throw(GetParam(), [&](comm::Collective& collective) {
    const int rank = collective.rank();
    got[static_cast<std::size_t>(rank)] = broadcast_tensors(
        collective, at::kCPU, 1, rank == 2, layout_of(sent), rank == 1 ? sent : checkpoint::TrainState{});
  });
  EXPECT_THAT(got[0].model, IsEmpty());
  EXPECT_THAT(got[1].model, IsEmpty());
  got[2].summary = sent.summary;
  EXPECT_EQ(state_digest(got[2]), state_digest(sent));
  EXPECT_EQ(got[2].model.at("b.c").sizes(), sent.model.at("b.c").sizes());
}

INSTANTIATE_TEST_SUITE_P(Backends, BroadcastTensors,
                         ::testing::Values(mdgen::testing::Backend{"local", 3},
                                           mdgen::testing::Backend{"gloo", 3}),
                         [](const auto& info) { return mdgen::testing::name_of(info.param); });

}  // namespace
}  // namespace mdgen::train
