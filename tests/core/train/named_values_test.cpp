#include "core/train/named_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "core/train/agreement.h"
#include "tests/support/collective_backends.h"

namespace mdgen::train {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::map<std::int64_t, NamedValues> four_batches() {
  return {{0, {{{"rmsf", 0.1}, {"clashes", 1}}, {{"seq_pred", "AAAA"}}}},
          {1, {{{"rmsf", 0.2}, {"recovery", kNan}}, {}}},
          {2, {{{"rmsf", 0.3}, {"clashes", kNan}}, {{"seq_pred", "CC \"quoted\""}}}},
          {3, {}}};
}

NamedSummary gathered(int ranks) {
  std::vector<NamedSummary> results(static_cast<std::size_t>(ranks));
  mdgen::testing::run_group_or_throw({"local", ranks}, [&](comm::Collective& collective) {
    std::map<std::int64_t, NamedValues> mine;
    for (const auto& [index, values] : four_batches()) {
      if (index % ranks == ranks - 1 - collective.rank()) mine[index] = values;
    }
    results[static_cast<std::size_t>(collective.rank())] = gather_values(collective, at::kCPU, mine);
  });
  for (const NamedSummary& result : results) EXPECT_EQ(result.texts, results[0].texts);
  return results[0];
}

TEST(GatherValues, MeansAndTexts_AreTheSameForAnyNumberOfRanks) {
  const NamedSummary one = gathered(1);
  EXPECT_EQ(one.numbers.at("rmsf"), (0.1 + 0.2 + 0.3) / 3);
  EXPECT_EQ(one.numbers.at("clashes"), 1);
  EXPECT_TRUE(std::isnan(one.numbers.at("recovery")));
  EXPECT_THAT(one.texts.at("seq_pred"), ElementsAre("AAAA", "CC \"quoted\""));
  for (const int ranks : {2, 3, 6}) {
    const NamedSummary several = gathered(ranks);
    EXPECT_EQ(several.numbers.at("rmsf"), one.numbers.at("rmsf"));
    EXPECT_EQ(several.texts, one.texts);
  }
}

TEST(GatherTexts, EveryRankGetsAll) {
  mdgen::testing::run_group_or_throw({"local", 3}, [](comm::Collective& collective) {
    const std::string mine(static_cast<std::size_t>(collective.rank()) * 3, 'x');
    EXPECT_THAT(gather_texts(collective, at::kCPU, mine), ElementsAre("", "xxx", "xxxxxx"));
    EXPECT_THAT(gather_texts(collective, at::kCPU, ""), ElementsAre("", "", ""));
  });
}

}  // namespace
}  // namespace mdgen::train
