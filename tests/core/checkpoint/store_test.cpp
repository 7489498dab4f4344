#include "core/checkpoint/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/retention.h"
#include "tests/support/memory_dir.h"

namespace mdgen::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Store : public ::testing::Test {
 protected:
  fs::path put(std::int64_t step, std::int64_t generation = 1, const std::string& weights = "weights") {
    return publish(checkpoints, {step, generation}, {step, 0, 4 * step, "spec", "plan"},
                   [&](const fs::path& folder) {
                     write_file_synced(folder / "model.safetensors", weights + std::to_string(step));
                     write_file_synced(folder / "state.json", "{}");
                   });
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const fs::path& folder : list(checkpoints)) result.push_back(folder.filename().string());
    return result;
  }
  std::string problem(const fs::path& folder) const {
    try {
      verify(folder);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
      return error.what();
    }
  }
  int hidden() const {
    const std::vector<std::string> names = names_in_folder(checkpoints);
    return static_cast<int>(std::count_if(names.begin(), names.end(),
                                          [](const std::string& name) { return name.starts_with('.'); }));
  }
  static void overwrite(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
  }

  testing::MemoryDir dir;
  fs::path checkpoints = dir / "checkpoints";
};

TEST(Name, RoundTripAndRefusals) {
  EXPECT_EQ(folder_name({1234, 7}), "step-000001234-g0007");
  const auto name = parse_folder_name("step-000001234-g0007");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->step, 1234);
  EXPECT_EQ(name->generation, 7);
  EXPECT_EQ(parse_folder_name(folder_name({12345678901, 123456}))->step, 12345678901);
  for (const char* other :
       {"latest", "step-1-g1", "step-000001234-g0007.bak", ".tmp-g0007-step-000001234-g0007-ab",
        "step--00000001-g0007", "step-000001234-g", ""})
    EXPECT_FALSE(parse_folder_name(other)) << other;
}

TEST_F(Store, PublishedFolderVerifiesAndIsTheLatest) {
  const fs::path folder = put(5, 2);
  EXPECT_EQ(folder.filename(), "step-000000005-g0002");
  const Manifest manifest = verify(folder);
  EXPECT_EQ(manifest.summary.step, 5);
  EXPECT_EQ(manifest.summary.samples, 20);
  EXPECT_EQ(manifest.summary.plan_digest, "plan");
  ASSERT_EQ(manifest.files.size(), 2U);
  EXPECT_EQ(manifest.files[0].name, "model.safetensors");
  EXPECT_EQ(manifest.files[0].bytes, 8);
  EXPECT_EQ(read_file(checkpoints / "latest"), "step-000000005-g0002\n");
  put(6, 2);
  EXPECT_EQ(read_file(checkpoints / "latest"), "step-000000006-g0002\n");
  EXPECT_THAT(names(), ElementsAre("step-000000006-g0002", "step-000000005-g0002"));
}

TEST_F(Store, EachKindOfDamageIsNamed) {
  const fs::path folder = put(5);
  const std::string manifest = read_file(folder / "manifest.json");
  const fs::path weights = folder / "model.safetensors";

  overwrite(weights, "weightsX");
  EXPECT_THAT(problem(folder), HasSubstr("model.safetensors has SHA-256"));
  overwrite(weights, "weig");
  EXPECT_THAT(problem(folder), HasSubstr("model.safetensors has 4 bytes"));
  fs::remove(weights);
  EXPECT_THAT(problem(folder), HasSubstr("model.safetensors is missing"));
  overwrite(weights, "weights5");
  EXPECT_EQ(problem(folder), "");

  overwrite(folder / "manifest.json", manifest.substr(0, manifest.size() / 2));
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is not a checkpoint's manifest"));
  overwrite(folder / "manifest.json", "{}");
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is not a checkpoint's manifest"));
  std::string outside = manifest;
  outside.replace(outside.find("state.json"), 10, "../a.json/");
  overwrite(folder / "manifest.json", outside);
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is damaged"));
  std::string other_step = manifest;
  other_step.replace(other_step.find("\"step\": 5"), 9, "\"step\": 6");
  overwrite(folder / "manifest.json", other_step);
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is damaged"));
  overwrite(folder / "manifest.json", manifest);
  fs::rename(folder, checkpoints / "step-000000007-g0001");
  EXPECT_THAT(problem(checkpoints / "step-000000007-g0001"), HasSubstr("its folder's name is of step 7"));
  fs::rename(checkpoints / "step-000000007-g0001", folder);
  fs::remove(folder / "manifest.json");
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is missing"));
}

TEST_F(Store, NewestGoodPassesOverBadOnesWithANote) {
  put(1);
  put(2);
  put(3);
  overwrite(checkpoints / "step-000000003-g0001" / "model.safetensors", "garbage!");
  fs::remove(checkpoints / "step-000000002-g0001" / "manifest.json");
  std::vector<std::string> notes;
  const auto found = newest_good(checkpoints, notes);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest.summary.step, 1);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("skipped step-000000003-g0001"),
                                 HasSubstr("skipped step-000000002-g0001")));
}

TEST_F(Store, NothingGoodIsNothing) {
  std::vector<std::string> notes;
  EXPECT_FALSE(newest_good(checkpoints, notes));
  EXPECT_THAT(notes, IsEmpty());
}

TEST_F(Store, ALaterGenerationOfTheSameStepComesFirst) {
  put(4, 1, "old");
  put(4, 2, "new");
  EXPECT_THAT(names(), ElementsAre("step-000000004-g0002", "step-000000004-g0001"));
}

TEST_F(Store, PublishingTheSameTwiceIsSuccessAndAnotherContentIsNot) {
  put(5);
  EXPECT_NO_THROW(put(5));
  EXPECT_THROW(put(5, 1, "different"), Error);
  EXPECT_EQ(read_file(checkpoints / "step-000000005-g0001" / "model.safetensors"), "weights5");
}

TEST_F(Store, PublishingWhereADamagedOneLies_ReplacesIt) {
  const fs::path folder = put(5);
  overwrite(folder / "model.safetensors", "damaged5");
  EXPECT_EQ(put(5), folder);
  EXPECT_EQ(problem(folder), "");
  EXPECT_EQ(read_file(folder / "model.safetensors"), "weights5");
  fs::remove(folder / "manifest.json");
  put(5);
  EXPECT_EQ(problem(folder), "");
  EXPECT_THAT(names(), ElementsAre("step-000000005-g0001"));
}

TEST_F(Store, AFailedWriteLeavesNothing) {
  EXPECT_THROW(publish(checkpoints, {5, 1}, {},
                       [](const fs::path& folder) {
                         write_file_synced(folder / "model.safetensors", "half");
                         throw Error(ErrorCode::kUnavailable, "disk full");
                       }),
               Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints), {}), 0);
}

TEST_F(Store, AKilledWriterLeavesNothingThatCounts) {
  put(4);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    publish(checkpoints, {5, 1}, {}, [](const fs::path& folder) {
      write_file_synced(folder / "model.safetensors", "half");
      ::raise(SIGKILL);
    });
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(names(), ElementsAre("step-000000004-g0001"));
  put(5);
  EXPECT_EQ(verify(checkpoints / "step-000000005-g0001").summary.step, 5);
  EXPECT_EQ(hidden(), 1);
  Retention(checkpoints, {}, SystemClock()).sweep();
  EXPECT_EQ(hidden(), 0) << "the writer is dead, whatever its generation";
}

TEST_F(Store, OneThatIsRemovedWhileItIsVerifiedIsNoBadOne) {
  put(1);
  put(2);
  // A name that lists, but is gone when it is opened: as a listing of NFS may be.
  fs::create_symlink("nowhere", checkpoints / "step-000000003-g0001");
  std::vector<std::string> notes;
  const auto found = newest_good(checkpoints, notes);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest.summary.step, 2);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("skipped step-000000003-g0001")));
}

TEST_F(Store, ValidationLossAndDigestOfTheManifestItself) {
  Summary summary{5, 0, 20, "spec", "plan"};
  summary.val_loss = 0.25;
  const fs::path folder = publish(checkpoints, {5, 1}, summary, [&](const fs::path& into) {
    write_file_synced(into / "model.safetensors", "weights");
  });
  EXPECT_EQ(verify(folder).summary.val_loss, 0.25);
  std::string text = read_file(folder / "manifest.json");
  text.replace(text.find("0.25"), 4, "0.24");
  overwrite(folder / "manifest.json", text);
  EXPECT_THAT(problem(folder), HasSubstr("manifest.json is damaged"));
  EXPECT_EQ(verify(put(6)).summary.val_loss, std::nullopt);
}

TEST_F(Store, AnOlderVersionsManifestIsRead) {
  const fs::path folder = put(5);
  std::string text = read_file(folder / "manifest.json");
  text.replace(text.find("\"version\": 2"), 12, "\"version\": 1");
  EXPECT_THAT((overwrite(folder / "manifest.json", text), problem(folder)), HasSubstr("is damaged"));
  const auto digest = text.find("  \"manifest_sha256\"");
  text.erase(digest, text.find('\n', digest) + 1 - digest);
  overwrite(folder / "manifest.json", text);
  EXPECT_EQ(problem(folder), "");
}

// Nothing of a checkpoint can change unnoticed.
TEST_F(Store, EachFlippedBitOfEachFileIsFound) {
  const fs::path folder = put(5);
  int flips = 0;
  for (const char* name : {"manifest.json", "model.safetensors", "state.json"}) {
    const std::string good = read_file(folder / name);
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
      for (int bit = 0; bit < 8; ++bit, ++flips) {
        std::string bad = good;
        bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
        overwrite(folder / name, bad);
        ASSERT_NE(problem(folder), "") << name << ", byte " << byte << ", bit " << bit;
      }
    }
    for (std::size_t length = 0; length < good.size(); ++length) {
      overwrite(folder / name, good.substr(0, length));
      ASSERT_NE(problem(folder), "") << name << " cut to " << length;
    }
    overwrite(folder / name, good + " ");
    EXPECT_NE(problem(folder), "") << name << " with a blank more";
    overwrite(folder / name, good);
  }
  EXPECT_GT(flips, 4000);
  EXPECT_EQ(problem(folder), "");
  overwrite(folder / ".nfs000000000001", "kept by NFS while it is open");
  EXPECT_EQ(problem(folder), "");
  overwrite(folder / "ema.safetensors", "of somebody else");
  EXPECT_THAT(problem(folder), HasSubstr("ema.safetensors is not in its manifest"));
}

TEST_F(Store, WhatCannotBeListedIsNotTakenForEmpty) {
  write_file_synced(dir / "a-file", "");
  EXPECT_THROW(list(dir / "a-file"), Error);
  EXPECT_THAT(list(dir / "absent"), IsEmpty());
}

}  // namespace
}  // namespace mdgen::checkpoint
