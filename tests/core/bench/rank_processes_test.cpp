#include "core/bench/rank_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "core/base/error.h"

namespace mdgen::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Error error_of(int ranks, const RankWork& work) {
  try {
    run_ranks(ranks, work);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::kInternal, "nothing was thrown"};
}

TEST(RankProcesses, ResultsComeByRank_FromProcessesOfTheirOwn) {
  const auto results = run_ranks(3, [](int rank, const comm::Exchange&) {
    return std::to_string(rank) + " " + std::to_string(::getpid());
  });
  ASSERT_EQ(results.size(), 3U);
  std::set<std::string> processes = {std::to_string(::getpid())};
  for (std::size_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(results[rank][0], static_cast<char>('0' + rank));
    processes.insert(results[rank].substr(2));
  }
  EXPECT_EQ(processes.size(), 4U);
}

TEST(RankProcesses, EveryRankSeesAllBlobs_RoundAfterRound) {
  const auto results = run_ranks(2, [](int rank, const comm::Exchange& exchange) {
    std::string seen;
    for (const char* round : {"a", "b"})
      for (const std::string& blob : exchange(round, round + std::to_string(rank))) seen += blob + ";";
    const std::string large(1 << 20, 'x');
    return seen + (exchange("c", large).back() == large ? "large" : "");
  });
  EXPECT_THAT(results, ElementsAre("a0;a1;b0;b1;large", "a0;a1;b0;b1;large"));
}

TEST(RankProcesses, FailedRankIsNamedWithItsCodeAndText) {
  const Error error = error_of(2, [](int rank, const comm::Exchange& exchange) {
    if (rank == 1) throw Error(ErrorCode::kDataLoss, "the sum is wrong");
    exchange("key", "");
    return std::string();
  });
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_THAT(error.what(), HasSubstr("rank 1: the sum is wrong"));
}

TEST(RankProcesses, RankThatDiesIsNamed) {
  const Error error = error_of(2, [](int rank, const comm::Exchange& exchange) {
    if (rank == 1) ::_exit(3);
    exchange("key", "");
    return std::string();
  });
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("rank 1: the process has ended"));
}

}  // namespace
}  // namespace mdgen::bench
