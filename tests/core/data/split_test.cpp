#include "core/data/split.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace mdgen::data {
namespace {

// The published splits; they lie beside the clone and are not part of it.
TEST(ReadSplit, PublishedSplits_HaveTheirSizes) {
  const std::filesystem::path folder = std::filesystem::path(MDGEN_SOURCE_DIR) / "../shared/data/splits";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "needs ../shared/data/splits";
  Problems problems;
  const auto size = [&](const char* name) { return read_split(folder / name, problems).size(); };
  EXPECT_EQ(size("atlas.csv"), 1390U);
  EXPECT_EQ(size("atlas_train.csv"), 1266U);
  EXPECT_EQ(size("atlas_val.csv"), 39U);
  EXPECT_EQ(size("atlas_test.csv"), 82U);
  EXPECT_EQ(size("4AA_train.csv"), 3109U);
  EXPECT_EQ(size("4AA_val.csv"), 100U);
  EXPECT_EQ(size("4AA_test.csv"), 100U);
  EXPECT_NO_THROW(problems.throw_if_any());
}

}  // namespace
}  // namespace mdgen::data
