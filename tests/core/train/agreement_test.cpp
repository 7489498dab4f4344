#include "core/train/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "core/train/failure.h"
#include "core/train/step_sync.h"
#include "tests/support/collective_backends.h"

namespace mdgen::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const mdgen::testing::Backend kThree{"local", 3};

TEST(Agree, RankZeroDecides_EveryRankGetsItsText) {
  std::array<std::string, 3> got;
  mdgen::testing::run_group_or_throw(kThree, [&](comm::Collective& collective) {
    const int rank = collective.rank();
    got[static_cast<std::size_t>(rank)] =
        agree(collective, at::kCPU, [rank] { return "from " + std::to_string(rank) + " \"\n"; });
  });
  for (const std::string& text : got) EXPECT_EQ(text, "from 0 \"\n");
}

TEST(Agree, EmptyText_IsAnAnswer) {
  mdgen::testing::run_group_or_throw(kThree, [&](comm::Collective& collective) {
    EXPECT_EQ(agree(collective, at::kCPU, [] { return std::string(); }), "");
  });
}

TEST(Agree, RankZeroThrows_EveryRankThrowsTheSameReason) {
  const auto thrown = mdgen::testing::run_group(kThree, [&](comm::Collective& collective) {
    agree(collective, at::kCPU, []() -> std::string {
      throw RunFailure(ErrorCode::kFailedPrecondition, "CheckpointRequired", "none in /runs/a");
    });
  });
  for (const std::exception_ptr& error : thrown) {
    ASSERT_TRUE(error);
    try {
      std::rethrow_exception(error);
    } catch (const RunFailure& failure) {
      EXPECT_EQ(failure.reason(), "CheckpointRequired");
      EXPECT_EQ(failure.code(), ErrorCode::kFailedPrecondition);
      EXPECT_THAT(failure.what(), HasSubstr("none in /runs/a"));
    }
  }
}

TEST(Agree, RankZeroThrowsWhileAPeerIsGone_TellsItsOwnFailure) {
  auto group = comm::make_local_group(2);
  group[1].reset();
  try {
    agree(*group[0], at::kCPU, []() -> std::string {
      throw RunFailure(ErrorCode::kUnavailable, "CheckpointFailed", "disk full");
    });
    FAIL() << "nothing was thrown";
  } catch (const std::exception& error) {
    EXPECT_EQ(describe_failure(error).reason, "CheckpointFailed");
  }
}

TEST(RequireEqualDigests, OneDiffers_NamesItOnEveryRank) {
  const auto thrown = mdgen::testing::run_group(kThree, [&](comm::Collective& collective) {
    require_equal_digests(collective, at::kCPU, "the state",
                          std::string(64, collective.rank() == 2 ? 'b' : 'a'));
  });
  for (const std::exception_ptr& error : thrown) {
    EXPECT_THAT(mdgen::testing::error_of(error).what(),
                HasSubstr("the state differs from rank 0's on rank 2"));
  }
}

TEST(RequireEqualDigests, AllEqual_Passes) {
  mdgen::testing::run_group_or_throw(kThree, [&](comm::Collective& collective) {
    require_equal_digests(collective, at::kCPU, "the state", std::string(64, 'a'));
  });
}

TEST(ReduceTally, SumsExactlyOverRanks) {
  mdgen::testing::run_group_or_throw(kThree, [&](comm::Collective& collective) {
    const auto rank = static_cast<std::uint64_t>(collective.rank());
    StepTally mine;
    mine.loss_sum = 0.5;
    mine.samples = 2;
    mine.bad = 1;
    mine.tokens = 1'000'000'000'001;
    mine.stop_votes = rank == 1 ? 1 : 0;
    mine.hash_sum = (1ULL << 60U) + 0xFFFFFFFFULL - rank;
    const StepTally all = reduce_tally(collective, at::kCPU, 41, mine);
    EXPECT_EQ(all.loss_sum, 1.5);
    EXPECT_EQ(all.samples, 6);
    EXPECT_EQ(all.bad, 3);
    EXPECT_EQ(all.tokens, 3'000'000'000'003);
    EXPECT_EQ(all.nonfinite, 0);
    EXPECT_EQ(all.stop_votes, 1);
    EXPECT_EQ(all.checkpoint_votes, 0);
    EXPECT_EQ(all.hash_sum, 3 * ((1ULL << 60U) + 0xFFFFFFFFULL) - 3);
  });
}

TEST(ReduceTally, RanksInDifferentSteps_FailEverywhere) {
  const auto thrown = mdgen::testing::run_group(kThree, [&](comm::Collective& collective) {
    reduce_tally(collective, at::kCPU, collective.rank() == 0 ? 8 : 7, {});
  });
  for (const std::exception_ptr& error : thrown) {
    EXPECT_THAT(mdgen::testing::error_of(error).what(), HasSubstr("the mean over 3 ranks is 7.33"));
  }
}

TEST(DescribeFailure, TorchErrors_LoseTheirBacktrace) {
  std::string text;
  try {
    at::ones({2}).add_(at::ones({3}));
  } catch (const std::exception& error) {
    EXPECT_EQ(describe_failure(error).reason, "TorchError");
    text = describe_failure(error).message;
  }
  EXPECT_THAT(text, HasSubstr("size"));
  EXPECT_THAT(text, Not(HasSubstr("Exception raised from")));
}

TEST(DescribeFailure, OwnErrors_GiveReasonOrCode) {
  EXPECT_EQ(describe_failure(RunFailure(ErrorCode::kDataLoss, "NonFiniteGradient", "x")).reason,
            "NonFiniteGradient");
  EXPECT_EQ(describe_failure(Error(ErrorCode::kUnavailable, "x")).reason, "Unavailable");
  EXPECT_EQ(describe_failure(std::bad_alloc()).reason, "OutOfMemory");
  EXPECT_EQ(describe_failure(std::runtime_error("x")).reason, "Internal");
}

}  // namespace
}  // namespace mdgen::train
