#include "core/data/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace mdgen::data {
namespace {

class ReadAheadTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ReadAheadTest, ::testing::Values(0, 1, 2, 8));

TEST_P(ReadAheadTest, ResultsComeInTheOrderOfPush) {
  ReadAhead<int> ahead(GetParam());
  for (int i = 0; i < 2000; ++i) ahead.push([i] { return i; });
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(ahead.get(), i);
  EXPECT_THROW(ahead.get(), Error);
}

TEST_P(ReadAheadTest, PushAndGetInTurn) {
  ReadAhead<std::string> ahead(GetParam());
  for (int i = 0; i < 500; ++i) {
    ahead.push([i] { return std::to_string(i); });
    ahead.push([i] { return "-" + std::to_string(i); });
    if (i % 3 == 0) {
      ahead.clear();
    } else {
      EXPECT_EQ(ahead.get(), i % 3 == 1 ? std::to_string(i) : "-" + std::to_string(i - 1));
    }
  }
}

TEST_P(ReadAheadTest, Exception_ComesFromItsOwnGet) {
  ReadAhead<int> ahead(GetParam());
  ahead.push([] { return 1; });
  ahead.push([]() -> int { throw Error(ErrorCode::kDataLoss, "bad"); });
  ahead.push([] { return 3; });
  EXPECT_EQ(ahead.get(), 1);
  EXPECT_THROW(ahead.get(), Error);
  EXPECT_EQ(ahead.get(), 3);
}

TEST_P(ReadAheadTest, HoldsAtMostOneMoreThanItsThreads) {
  const int threads = GetParam();
  if (threads == 0) return;
  std::atomic<int> begun{0};
  std::latch first_round(threads + 1);
  ReadAhead<int> ahead(threads);
  for (int i = 0; i < 100; ++i) {
    ahead.push([&, i] {
      ++begun;
      if (i <= threads) first_round.count_down();
      return i;
    });
  }
  first_round.wait();  // threads + 1 jobs have begun, and nothing was taken
  EXPECT_EQ(begun, threads + 1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ahead.get(), i);
    EXPECT_LE(begun, i + 1 + threads + 1);
  }
}

TEST_P(ReadAheadTest, OnStart_HasRunOnEachThread) {
  std::atomic<int> started{0};
  const ReadAhead<int> ahead(GetParam(), [&] { ++started; });
  EXPECT_EQ(started, GetParam());
}

TEST_P(ReadAheadTest, Destruction_DropsWhatIsLeft) {
  std::atomic<int> done{0};
  {
    ReadAhead<int> ahead(GetParam());
    for (int i = 0; i < 100; ++i) ahead.push([&] { return ++done; });
  }
  EXPECT_LE(done, GetParam() + 1);
}

TEST_P(ReadAheadTest, Preparation_ComesOnceAndBeforeItsOwnResultIsTaken) {
  if (GetParam() == 0) return;
  constexpr int kJobs = 200;
  std::vector<std::atomic<int>> prepared(kJobs);
  ReadAhead<int> ahead(GetParam());
  std::latch pushed(1);
  for (int i = 0; i < kJobs; ++i) {
    ahead.push(
        [&, i] {
          pushed.wait();
          return i;
        },
        [&prepared, i] { ++prepared[static_cast<std::size_t>(i)]; });
  }
  pushed.count_down();
  for (int i = 0; i < kJobs; ++i) ahead.get();
  for (int i = 0; i < kJobs; ++i) EXPECT_LE(prepared[static_cast<std::size_t>(i)], 1) << i;
  // A job that is started before its successor is pushed finds nothing to prepare: as many as are held at
  // most.
  EXPECT_GE(std::accumulate(prepared.begin(), prepared.end(), 0), kJobs - (GetParam() + 1));
}

TEST_P(ReadAheadTest, Ready_OnceTheFirstIsDone) {
  ReadAhead<int> ahead(GetParam());
  EXPECT_FALSE(ahead.ready());
  std::latch go(1);
  std::latch second(1);
  ahead.push([&] {
    go.wait();
    return 1;
  });
  ahead.push([&] {
    second.count_down();
    return 2;
  });
  if (GetParam() > 1) second.wait();
  EXPECT_FALSE(ahead.ready());
  go.count_down();
  EXPECT_EQ(ahead.get(), 1);
  if (GetParam() == 0) {
    EXPECT_FALSE(ahead.ready());
  } else {
    while (!ahead.ready()) std::this_thread::yield();
  }
  EXPECT_EQ(ahead.get(), 2);
}

}  // namespace
}  // namespace mdgen::data
