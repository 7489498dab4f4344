#include "core/data/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace mdgen::data {
namespace {

struct Counted {
  int made = 0;
  int alive = 0;
  BufferPool pool{[this](std::size_t bytes) {
    ++made;
    ++alive;
    return BufferPool::Buffer(new std::byte[bytes], [this](std::byte* memory) {
      --alive;
      delete[] memory;
    });
  }};
};

TEST(BufferPool, GivesAgainWhatCameBack) {
  Counted counted;
  for (int i = 0; i < 20; ++i) {
    const auto one = counted.pool.take(100);
    const auto two = counted.pool.take(50);
    EXPECT_NE(one.get(), two.get());
  }
  EXPECT_EQ(counted.made, 2);
}

TEST(BufferPool, HasNoMoreThanWereTakenAtATime_WhateverTheirSizes) {
  Counted counted;
  for (std::size_t bytes = 1; bytes < 200; ++bytes) {
    const auto one = counted.pool.take(bytes);
    const auto two = counted.pool.take(bytes * 7 % 200 + 1);
    ASSERT_LE(counted.alive, 2);
  }
}

TEST(BufferPool, SmallestThatIsLargeEnough) {
  Counted counted;
  std::byte* large = nullptr;
  {
    const auto a = counted.pool.take(1000);
    const auto b = counted.pool.take(10);
    large = a.get();
  }
  const auto small = counted.pool.take(5);
  EXPECT_EQ(counted.pool.take(900).get(), large);
  EXPECT_EQ(counted.made, 2);
}

TEST(BufferPool, BuffersOutliveIt) {
  BufferPool::Buffer buffer;
  {
    BufferPool pool;
    buffer = pool.take(64);
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.get()) % 64, 0U);
  buffer.get()[63] = std::byte{1};
}

TEST(BufferPool, ManyThreads) {
  BufferPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (std::size_t i = 0; i < 500; ++i) {
        const auto buffer = pool.take(1 + i % 64);
        *buffer = static_cast<std::byte>(t);
        ASSERT_EQ(*buffer, static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace mdgen::data
