#include "services/coordinator/seating.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "services/coordinator/restart_policy.h"

namespace mdgen::coordinator {
namespace {

using ::testing::ElementsAre;

// Ranks 0 … workers-1 of workers w0 …; those of `survivors` wait.
Generation old_generation(int workers, const std::set<int>& survivors) {
  Generation generation;
  for (int rank = 0; rank < workers; ++rank) {
    Member& member = generation.members.emplace_back();
    member.rank = rank;
    member.worker_id = "w" + std::to_string(rank);
    if (survivors.contains(rank)) {
      member.left.emplace();
    } else {
      member.gone = true;
    }
  }
  return generation;
}

std::vector<std::string> text(const std::vector<Seat>& seats) {
  std::vector<std::string> list;
  for (const Seat& seat : seats) list.push_back(seat.worker + (seat.stays ? "=" : ""));
  return list;
}

TEST(Seat, Table) {
  const Generation four = old_generation(4, {0, 2, 3});
  EXPECT_THAT(text(seat(nullptr, {"a", "b"}, 9)), ElementsAre("a", "b"));
  EXPECT_THAT(text(seat(&four, {}, 9)), ElementsAre("w0=", "w3", "w2="));
  EXPECT_THAT(text(seat(&four, {"w1"}, 9)), ElementsAre("w0=", "w1", "w2=", "w3="));
  EXPECT_THAT(text(seat(&four, {"new"}, 9)), ElementsAre("w0=", "new", "w2=", "w3="));
  EXPECT_THAT(text(seat(&four, {"new", "w1"}, 9)), ElementsAre("w0=", "w1", "w2=", "w3=", "new"));
  EXPECT_THAT(text(seat(&four, {}, 2)), ElementsAre("w0=", "w2")) << "the lowest ranks stay";
  const Generation none = old_generation(2, {});
  EXPECT_THAT(text(seat(&none, {"w1", "x"}, 9)), ElementsAre("x", "w1"));
}

TEST(Seat, GivesEveryRankToOneWorkerAndMovesNobodyWithoutNeed) {
  std::mt19937 random(3);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 2000; ++round) {
    const int before = draw(1, 7);
    std::set<int> survivors;
    for (int rank = 0; rank < before; ++rank)
      if (draw(0, 1) == 1) survivors.insert(rank);
    std::vector<std::string> newcomers;
    for (int n = draw(0, 4); n > 0; --n) newcomers.push_back("n" + std::to_string(n));
    for (int rank = 0; rank < before; ++rank)
      if (!survivors.contains(rank) && draw(0, 1) == 1) newcomers.push_back("w" + std::to_string(rank));
    const int most = draw(1, 9);
    const Generation old = old_generation(before, survivors);
    const auto seats = seat(&old, newcomers, most);
    const std::size_t staying = std::min(survivors.size(), static_cast<std::size_t>(most));
    ASSERT_EQ(seats.size(), staying + newcomers.size());
    std::set<std::string> seated;
    for (const Seat& one : seats) EXPECT_TRUE(seated.insert(one.worker).second) << one.worker;
    EXPECT_FALSE(seated.contains(""));
    for (std::size_t rank = 0; rank < seats.size(); ++rank) {
      if (!seats[rank].stays) continue;
      EXPECT_EQ(seats[rank].worker, "w" + std::to_string(rank));
    }
    std::size_t index = 0;
    for (const int rank : survivors) {
      const bool has_room = index++ < staying && rank < static_cast<int>(seats.size());
      EXPECT_TRUE(!has_room || seats[static_cast<std::size_t>(rank)].stays) << rank;
    }
  }
}

TEST(Poison, CountsOnlyWhatAStepCanCause) {
  Generation generation = old_generation(2, {0});
  generation.members[0].started = true;
  generation.last_step = 41;
  generation.evidence.push_back({Evidence::Kind::kTrainerExit, 1, "TrainerKilled", "", true});
  PoisonWatch watch = extend(PoisonWatch{}, generation);
  EXPECT_EQ(watch.step, 41);
  watch = extend(watch, generation);
  EXPECT_EQ(watch.times, 2);
  for (const auto kind : {Evidence::Kind::kWorkerLost, Evidence::Kind::kHang, Evidence::Kind::kCollective}) {
    generation.evidence[0].kind = kind;
    EXPECT_EQ(extend(watch, generation).times, 2);
  }
  generation.evidence[0].kind = Evidence::Kind::kTrainerExit;
  generation.members[1].injected = true;
  EXPECT_EQ(extend(watch, generation).times, 2) << "an injected fault says nothing of the step";
  generation.members[1].injected = false;
  generation.last_step = 42;
  EXPECT_EQ(extend(watch, generation).times, 1) << "another step";
}

}  // namespace
}  // namespace mdgen::coordinator
