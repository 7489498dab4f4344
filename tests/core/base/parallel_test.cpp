#include "core/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <vector>

namespace mdgen {
namespace {

TEST(ParallelFor, EachPieceOnce) {
  for (const int threads : {1, 3, 16, 0}) {
    std::vector<std::atomic<int>> calls(1000);
    EXPECT_TRUE(parallel_for(calls.size(), threads, [&](std::size_t i) { ++calls[i]; }));
    for (const auto& count : calls) ASSERT_EQ(count, 1);
  }
  EXPECT_TRUE(parallel_for(0, 4, [](std::size_t) { FAIL(); }));
}

TEST(ParallelFor, ProgressEndsWithAll) {
  std::size_t last = 0;
  EXPECT_TRUE(parallel_for(
      100, 4, [](std::size_t) {},
      [&](std::size_t done, std::size_t total) {
        EXPECT_GE(done, last);
        EXPECT_EQ(total, 100U);
        last = done;
        return true;
      }));
  EXPECT_EQ(last, 100U);
}

// The first pieces wait until progress has said no; the rest would take a second.
TEST(ParallelFor, ProgressStopsTheWork) {
  constexpr std::size_t kPieces = 50'000'000;
  std::promise<void> refusing;
  const auto wait = refusing.get_future().share();
  std::atomic<std::size_t> calls{0};
  EXPECT_FALSE(parallel_for(
      kPieces, 2,
      [&](std::size_t) {
        if (calls++ < 2) wait.wait();
      },
      [&](std::size_t, std::size_t) {
        refusing.set_value();
        return false;
      }));
  EXPECT_GE(calls, 1U);
  EXPECT_LT(calls, kPieces);
}

TEST(ParallelFor, WhatAPieceThrows_IsThrown) {
  constexpr std::size_t kPieces = 50'000'000;
  std::atomic<std::size_t> calls{0};
  EXPECT_THROW(parallel_for(kPieces, 4,
                            [&](std::size_t i) {
                              ++calls;
                              if (i == 3) throw std::runtime_error("bad");
                            }),
               std::runtime_error);
  EXPECT_LT(calls, kPieces);
}

}  // namespace
}  // namespace mdgen
