#include "core/checkpoint/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/base/files.h"
#include "core/checkpoint/pin.h"
#include "core/checkpoint/temporary.h"
#include "tests/support/memory_dir.h"

namespace mdgen::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::int64_t> steps(const std::vector<Name>& names) {
  std::vector<std::int64_t> result;
  for (const Name& name : names) result.push_back(name.step);
  return result;
}

std::vector<Candidate> ten() {
  std::vector<Candidate> candidates;
  for (int step = 1; step <= 10; ++step) candidates.push_back({.name = {step, 1}});
  candidates.back().verified = true;
  return candidates;
}

TEST(Policy, KeepsTheLast) {
  EXPECT_THAT(steps(superfluous(ten(), {.keep_last = 3})), ElementsAre(7, 6, 5, 4, 3, 2, 1));
  EXPECT_THAT(superfluous(ten(), {.keep_last = 0}), IsEmpty());
  EXPECT_THAT(superfluous(ten(), {.keep_last = 100}), IsEmpty());
}

TEST(Policy, AndEveryNth) {
  EXPECT_THAT(steps(superfluous(ten(), {.keep_last = 1, .keep_every = 3})), ElementsAre(8, 7, 5, 4, 2, 1));
}

TEST(Policy, AndTheBest_OneWithoutALossNeverIs) {
  auto candidates = ten();
  candidates[1].val_loss = 0.5;
  candidates[3].val_loss = 0.25;
  candidates[4].val_loss = 0.25;
  candidates[6].val_loss = 0.75;
  EXPECT_THAT(steps(superfluous(candidates, {.keep_last = 1, .keep_best = 1})),
              ElementsAre(9, 8, 7, 6, 4, 3, 2, 1))
      << "of equal losses the newer";
  EXPECT_THAT(steps(superfluous(candidates, {.keep_last = 1, .keep_best = 3})),
              ElementsAre(9, 8, 7, 6, 3, 1));
  EXPECT_THAT(steps(superfluous(candidates, {.keep_last = 1, .keep_best = 9})), ElementsAre(9, 8, 6, 3, 1));
}

TEST(Policy, NeverTheLastVerifiedNorWhatIsNewerNorWhatIsPinned) {
  auto candidates = ten();
  candidates.back().verified = false;
  EXPECT_THAT(superfluous(candidates, {.keep_last = 1}), IsEmpty()) << "none is verified";
  candidates[4].verified = true;
  candidates[2].pinned = true;
  EXPECT_THAT(steps(superfluous(candidates, {.keep_last = 1})), ElementsAre(4, 2, 1));
  EXPECT_THAT(steps(dispensable(candidates, {.keep_last = 9})), ElementsAre(1, 2, 4));
}

TEST(Policy, DamagedOnesCountForNothing) {
  auto candidates = ten();
  candidates[8].damaged = true;
  candidates[7].damaged = true;
  candidates[6].val_loss = 1;
  candidates[5].damaged = true;
  candidates[5].val_loss = 0.5;
  EXPECT_THAT(steps(superfluous(candidates, {.keep_last = 3, .keep_every = 9, .keep_best = 1})),
              ElementsAre(9, 8, 6, 4, 3, 2, 1))
      << "10, 7 and 5 are the last three good ones";
}

TEST(Policy, FullDisk_WhatIsKeptForGoodStays) {
  auto candidates = ten();
  candidates[1].val_loss = 0.5;
  EXPECT_THAT(steps(dispensable(candidates, {.keep_last = 8, .keep_every = 5, .keep_best = 1})),
              ElementsAre(1, 3, 4, 6, 7, 8, 9));
  EXPECT_THAT(dispensable(candidates, {.keep_last = 0}), IsEmpty()) << "all were to be kept";
}

class FakeClock : public Clock {
 public:
  Steady steady() const override { return now; }
  Wall wall() const override { return {}; }
  Steady now{};
};

class RetentionTest : public ::testing::Test {
 protected:
  fs::path put(std::int64_t step, std::int64_t generation = 1, std::optional<double> val_loss = {}) {
    Summary summary{step, 0, 4 * step, "spec", "plan"};
    summary.val_loss = val_loss;
    return publish(checkpoints, {step, generation}, summary, [&](const fs::path& folder) {
      write_file_synced(folder / "model.safetensors", std::string(4096, 'w') + std::to_string(step));
    });
  }
  std::vector<std::int64_t> kept() const {
    std::vector<std::int64_t> result;
    for (const fs::path& folder : list(checkpoints))
      result.push_back(parse_folder_name(folder.filename().string())->step);
    return result;
  }
  std::vector<std::string> hidden() const {
    std::vector<std::string> names = names_in_folder(checkpoints);
    std::erase_if(names, [](const std::string& name) { return !name.starts_with('.'); });
    return names;
  }
  Retention retention(Policy policy) const { return Retention(checkpoints, policy, clock); }

  testing::MemoryDir dir;
  fs::path checkpoints = dir / "checkpoints";
  FakeClock clock;
};

TEST_F(RetentionTest, AppliesThePolicyOnceOneIsVerified) {
  for (int step = 1; step <= 6; ++step) put(step, 1, step == 2 ? std::optional(0.1) : std::nullopt);
  Retention retention = this->retention({.keep_last = 2, .keep_every = 4, .keep_best = 1});
  retention.run(1);
  EXPECT_EQ(kept().size(), 6U);
  retention.verified(checkpoints / folder_name({6, 1}));
  retention.run(1);
  EXPECT_THAT(kept(), ElementsAre(6, 5, 4, 2));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(RetentionTest, ADamagedNewerOneIsNoReasonToDeleteTheVerifiedOne) {
  for (int step = 1; step <= 5; ++step) put(step);
  for (const int step : {4, 5})
    std::ofstream(checkpoints / folder_name({step, 1}) / "model.safetensors") << "garbage!";
  Retention retention = this->retention({.keep_last = 1});
  retention.verified(checkpoints / folder_name({3, 1}));
  retention.run(1);
  EXPECT_THAT(kept(), ElementsAre(5, 4, 3));
}

TEST_F(RetentionTest, OnlyTheNewestGenerationDeletes) {
  for (int step = 1; step <= 4; ++step) put(step, step < 4 ? 1 : 2);
  Retention old = retention({.keep_last = 1});
  old.verified(checkpoints / folder_name({3, 1}));
  old.run(1);
  EXPECT_EQ(kept().size(), 4U);
  Retention current = retention({.keep_last = 1});
  current.verified(checkpoints / folder_name({4, 2}));
  current.run(2);
  EXPECT_THAT(kept(), ElementsAre(4));
}

TEST_F(RetentionTest, AnotherGenerationsWriterAtWorkIsSeenToo) {
  for (int step = 1; step <= 3; ++step) put(step);
  const TemporaryFolder writing(checkpoints, {4, 2});
  Retention old = retention({.keep_last = 1});
  old.verified(checkpoints / folder_name({3, 1}));
  old.run(1);
  EXPECT_EQ(kept().size(), 3U);
}

TEST_F(RetentionTest, APinnedOneStays) {
  for (int step = 1; step <= 4; ++step) put(step);
  Retention retention = this->retention({.keep_last = 1});
  retention.verified(checkpoints / folder_name({4, 1}));
  {
    const Pin pin(checkpoints / folder_name({2, 1}));
    ASSERT_TRUE(pin.held());
    retention.run(1);
    EXPECT_THAT(kept(), ElementsAre(4, 2));
    EXPECT_FALSE(remove_checkpoint(checkpoints / folder_name({2, 1}))) << "a pin that came after the look";
    EXPECT_THAT(kept(), ElementsAre(4, 2));
  }
  retention.run(1);
  EXPECT_THAT(kept(), ElementsAre(4));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(RetentionTest, NewestGoodCanPinWhatItFinds) {
  put(1);
  put(2);
  std::vector<std::string> notes;
  Pin pin;
  ASSERT_TRUE(newest_good(checkpoints, notes, &pin));
  EXPECT_TRUE(pin.held());
  EXPECT_THAT(pinned(names_in_folder(checkpoints)), ElementsAre("step-000000002-g0001"));
  pin = Pin();
  EXPECT_THAT(hidden(), IsEmpty());
}

// A process that has ended, of this machine.
Owner dead_process() {
  int ready[2];
  EXPECT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Owner me = this_process();
    const bool told = ::write(ready[1], &me.started, sizeof me.started) == sizeof me.started;
    ::_exit(told ? 0 : 1);
  }
  Owner owner = this_process();
  owner.pid = child;
  EXPECT_EQ(::read(ready[0], &owner.started, sizeof owner.started),
            static_cast<ssize_t>(sizeof owner.started));
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  return owner;
}

TEST(OwnerTest, ToldByProcessNumberAndStart) {
  const Owner me = this_process();
  EXPECT_EQ(owner_from_text(to_text(me)), me);
  EXPECT_EQ(life_of(me), Life::kAlive);
  EXPECT_EQ(life_of(dead_process()), Life::kDead);
  Owner other = me;
  ++other.started;
  EXPECT_EQ(life_of(other), Life::kDead) << "the number was given again";
  other = me;
  other.machine = "00000000";
  EXPECT_EQ(life_of(other), Life::kUnknown);
  for (const char* text :
       {"", "x", "12345678.1", "12345678.x.1", "12345678.-1.1", "1234567.1.1", "12345678.1.1x"})
    EXPECT_FALSE(owner_from_text(text)) << text;
}

TEST(OwnerTest, StaysTheSameWhileTheProcessGrows) {
  const Owner me = this_process();
  constexpr std::size_t kBytes = std::size_t{256} << 20U;
  void* const more = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(more, MAP_FAILED);
  EXPECT_EQ(life_of(me), Life::kAlive);
  EXPECT_EQ(this_process(), me);
  ::munmap(more, kBytes);
}

TEST_F(RetentionTest, SweepsWhatDeadProcessesLeft_WhateverTheirGeneration) {
  put(1);
  const std::string dead = to_text(dead_process());
  fs::create_directory(checkpoints / (".tmp-g0099-step-000000007-g0099-" + dead + "-abcdefgh"));
  write_file_synced(checkpoints / (".tmp-g0099-step-000000007-g0099-" + dead + "-abcdefgh") / "state.json",
                    "{");
  write_file_synced(checkpoints / (".pin-step-000000001-g0001-" + dead + "-abcdefgh"), "");
  fs::create_directory(checkpoints / ".trash-step-000000001-g0001-abcdefgh");
  const TemporaryFolder ours(checkpoints, {8, 1});
  retention({}).sweep();
  EXPECT_THAT(hidden(), ElementsAre(ours.path().filename().string()));
}

TEST_F(RetentionTest, AForeignWriterIsLeftAlone_UntilNothingHasMovedForLong) {
  put(1);
  const std::string name = ".tmp-g0001-step-000000007-g0001-00000000.17.99-abcdefgh";
  const std::string older = ".tmp-g0001-step-000000007-g0001-abcdefgh";  // an older version's
  fs::create_directory(checkpoints / name);
  fs::create_directory(checkpoints / older);
  Retention retention = this->retention({});
  retention.sweep();
  clock.now += Retention::kQuiet - std::chrono::seconds(1);
  write_file_synced(checkpoints / name / "model.safetensors", "more");
  retention.sweep();
  EXPECT_THAT(hidden(), UnorderedElementsAre(name, older));
  clock.now += std::chrono::seconds(2);
  retention.sweep();
  EXPECT_THAT(hidden(), ElementsAre(name)) << "it has moved meanwhile";
  clock.now += Retention::kQuiet;
  retention.sweep();
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(RetentionTest, AForeignReadersPinHoldsAsLong) {
  for (int step = 1; step <= 3; ++step) put(step);
  const std::string pin = ".pin-step-000000001-g0001-00000000.17.99-abcdefgh";
  write_file_synced(checkpoints / pin, "");
  Retention retention = this->retention({.keep_last = 1});
  retention.verified(checkpoints / folder_name({3, 1}));
  retention.run(1);
  EXPECT_THAT(kept(), ElementsAre(3, 1));
  clock.now += Retention::kQuiet;
  retention.run(1);
  EXPECT_THAT(kept(), ElementsAre(3));
}

TEST_F(RetentionTest, MakesRoomButNotOfTheLastGoodOne) {
  for (int step = 1; step <= 4; ++step) put(step);
  fs::remove(checkpoints / folder_name({4, 1}) / "manifest.json");
  Retention retention = this->retention({.keep_last = 4});
  const std::int64_t free = retention.make_room(1, 1);
  EXPECT_GT(free, 1);
  EXPECT_EQ(kept().size(), 4U) << "there is room";
  retention.make_room(1, std::numeric_limits<std::int64_t>::max());
  EXPECT_THAT(kept(), ElementsAre(4, 3)) << "3 is the newest good one; 4 is newer";
}

TEST_F(RetentionTest, LiveWritersFolderIsKnownByItsProcess) {
  int ready[2];
  int end[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(end), 0);
  put(1);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  char byte = 0;
  if (child == 0) {
    const TemporaryFolder writing(checkpoints, {9, 1});
    ::write(ready[1], &byte, 1) == 1 && ::close(end[1]) == 0 && ::read(end[0], &byte, 1);
    ::_exit(0);
  }
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  clock.now += 2 * Retention::kQuiet;
  Retention retention = this->retention({});
  retention.sweep();
  clock.now += 2 * Retention::kQuiet;
  retention.sweep();
  EXPECT_EQ(hidden().size(), 1U);
  ::close(end[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  retention.sweep();
  EXPECT_THAT(hidden(), IsEmpty());
}

}  // namespace
}  // namespace mdgen::checkpoint
