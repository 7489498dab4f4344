#include "core/train/log_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/train/log_file.h"
#include "core/train/loop_state.h"
#include "tests/support/temp_dir.h"

namespace mdgen::train {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;
using ::testing::Pair;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

LogRecord train_record() {
  return {.prefix = "train",
          .means = {{"loss", 0.9}, {"time", 1.0}},
          .named = {},
          .epoch = 2,
          .trainer_step = 12,
          .iter_step = 24,
          .count = 8,
          .lr = 1e-5};
}

BatchMetrics batch(double loss, double discrete) {
  BatchMetrics metrics;
  metrics[Quantity::kLoss] = loss;
  metrics[Quantity::kLossDiscrete] = discrete;
  return metrics;
}

TEST(BatchMeans, NanIsLeftOut_AsInNumpysNanmean) {
  BatchMeans means;
  means.add(batch(1, kNan));
  means.add(batch(kNan, kNan));
  means.add(batch(4, 0.5));
  EXPECT_EQ(means.batches(), 3);
  EXPECT_THAT(means.means(), ElementsAre(Pair("loss", 2.5), Pair("loss_discrete", 0.5)));
}

TEST(BatchMeans, PackedWords_AddOverRanks) {
  BatchMeans one;
  one.add(batch(1, 2));
  BatchMeans other;
  other.add(batch(2, kNan));
  other.add(batch(6, kNan));
  auto words = one.pack();
  const auto more = other.pack();
  for (std::size_t i = 0; i < words.size(); ++i) words[i] += more[i];
  one.add(other);
  EXPECT_EQ(BatchMeans::unpack(words), one);
  EXPECT_THAT(one.means(), ElementsAre(Pair("loss", 3.0), Pair("loss_discrete", 2.0)));
}

TEST(LogRecord, MetricsLine_HasTheReferencesNames) {
  EXPECT_EQ(metrics_line(train_record()),
            "{\"step\":12,\"epoch\":2,\"train_loss\":0.9,\"train_time\":1.0,\"trainer_step\":12,"
            "\"iter_step\":24,\"train_count\":8,\"lr\":1e-05}");
}

TEST(LogRecord, DictionaryText_IsAPythonLiteral) {
  LogRecord record = train_record();
  EXPECT_EQ(dictionary_text(record),
            "{'train_loss': 0.9, 'train_time': 1.0, 'epoch': 2, 'trainer_step': 12, 'iter_step': 24, "
            "'train_count': 8, 'lr': 1e-05}");
  record.means = {{"loss", kNan}, {"time", -std::numeric_limits<double>::infinity()}};
  EXPECT_THAT(dictionary_text(record), ::testing::StartsWith("{'train_loss': nan, 'train_time': -inf, "));
}

TEST(LogRecord, Scalars_AreAllNumbersByTheirWholeNames) {
  LogRecord record = train_record();
  record.means.pop_back();
  EXPECT_THAT(scalars(record),
              ElementsAre(Pair("train_loss", 0.9), Pair("epoch", 2), Pair("trainer_step", 12),
                          Pair("iter_step", 24), Pair("train_count", 8), Pair("lr", 1e-5)));
}

TEST(LogFile, AppendsLinesInTheReferencesFormat) {
  const mdgen::testing::TempDir folder;
  const SystemClock clock;
  for (const char* text : {"{'a': 1}", "{'b': 2}"}) LogFile(folder / "log.out", clock).info(text);
  const std::string stamp = "[0-9]+-[0-9]+-[0-9]+ [0-9]+:[0-9]+:[0-9]+,[0-9]+ \\[[^ ]+:[0-9]+\\] \\[INFO\\] ";
  EXPECT_THAT(read_file(folder / "log.out"),
              MatchesRegex(stamp + "\\{'a': 1\\}\n" + stamp + "\\{'b': 2\\}\n"));
  EXPECT_THROW(LogFile(folder / "absent" / "log.out", clock), Error);
}

TEST(LoopState, Json_GivesTheSameBitsBack) {
  LoopState state;
  state.skipped_in_a_row = 3;
  state.batches = 77;
  state.total_steps = 100;
  state.iter.add(batch(0.1, kNan));
  state.iter.add(batch(0.2, 1.0 / 3.0));
  state.train.add(batch(std::numeric_limits<double>::infinity(), 5e-324));
  EXPECT_EQ(loop_state_from_json(to_json(state)), state);
}

TEST(LoopState, OlderCheckpoint_KnowsNothing) { EXPECT_EQ(loop_state_from_json(""), LoopState()); }

TEST(LoopState, Damaged_IsDataLoss) {
  try {
    loop_state_from_json("{\"batches\":1}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  }
}

}  // namespace
}  // namespace mdgen::train
