#include "core/sample/program/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::sample {
namespace {

using ::testing::HasSubstr;

Records::Common common(int seed) { return {{{"seed", seed}, {"weights", "ema"}}, {{"checkpoint", "c"}}}; }

// A finished sample with its file.
void add(Records& records, const testing::TempDir& dir, std::uint32_t sample) {
  const auto file = dir / ("x_" + std::to_string(sample) + ".pdb");
  replace_file(file, "END");
  records.add(sample, {{"path", file.string()}});
}

TEST(Records, MetadataAppearWhenAllIsThere) {
  testing::TempDir dir;
  Records records(dir.path(), "x", common(1), false);
  EXPECT_FALSE(records.complete(1));
  add(records, dir, 0);
  records.save_progress();
  EXPECT_FALSE(std::filesystem::exists(dir / "x_metadata.json"));
  EXPECT_FALSE(records.complete(1));
  records.publish();
  EXPECT_TRUE(records.complete(1));
  EXPECT_FALSE(std::filesystem::exists(dir / "x_progress.json"));
  const Json list = Json::parse(read_file(dir / "x_metadata.json"));
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["name"], "x");
  EXPECT_EQ(list[0]["seed"], 1);
  EXPECT_EQ(list[0]["checkpoint"], "c");
}

TEST(Records, ALaterRunTakesOverWhatIsFinished) {
  testing::TempDir dir;
  {
    Records records(dir.path(), "x", common(1), false);
    add(records, dir, 0);
    add(records, dir, 3);
    records.save_progress();
  }
  Records records(dir.path(), "x", common(1), false);
  EXPECT_TRUE(records.has(0));
  EXPECT_FALSE(records.has(1));
  EXPECT_TRUE(records.has(3));
  std::filesystem::remove(dir / "x_3.pdb");
  EXPECT_FALSE(records.has(3));
}

TEST(Records, MoreSamplesThanBeforeAreMissing) {
  testing::TempDir dir;
  {
    Records records(dir.path(), "x", common(1), false);
    add(records, dir, 0);
    records.publish();
  }
  Records records(dir.path(), "x", common(1), false);
  EXPECT_TRUE(records.complete(1));
  EXPECT_FALSE(records.complete(2));
  EXPECT_TRUE(records.has(0));
}

TEST(Records, OtherSettingsAreRefusedOrOverwritten) {
  testing::TempDir dir;
  {
    Records records(dir.path(), "x", common(1), false);
    add(records, dir, 0);
    records.publish();
  }
  try {
    Records(dir.path(), "x", common(2), false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kAlreadyExists);
    EXPECT_THAT(error.what(), HasSubstr("x_metadata.json is of other samples: seed 1 (asked for: 2)"));
  }
  Records records(dir.path(), "x", common(2), true);
  EXPECT_FALSE(records.has(0));
  EXPECT_FALSE(std::filesystem::exists(dir / "x_metadata.json"));
}

TEST(Records, ABrokenFileIsNamed) {
  testing::TempDir dir;
  for (const char* text : {"{", "[{}]", "[{\"seed\": 1, \"weights\": \"ema\"}]", "3"}) {
    replace_file(dir / "x_progress.json", text);
    EXPECT_THROW(Records(dir.path(), "x", common(1), false), Error) << text;
  }
}

}  // namespace
}  // namespace mdgen::sample
