#include "core/sample/program/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace mdgen::sample {
namespace {

using data::SplitRow;
using ::testing::ElementsAre;

std::vector<SplitRow> rows(const std::vector<std::string>& names) {
  std::vector<SplitRow> all;
  for (const std::string& name : names)
    all.push_back({.line = 0, .name = name, .seqres = std::string(name.size(), 'A')});
  return all;
}

std::vector<std::string> names(const std::vector<SplitRow>& rows) {
  std::vector<std::string> all;
  for (const SplitRow& row : rows) all.push_back(row.name);
  return all;
}

TEST(ChunkOf, CutsAsNumpyDoes) {
  // [list(a) for a in numpy.array_split(list("abcdefgh"), 3)]
  const auto all = rows({"a", "b", "c", "d", "e", "f", "g", "h"});
  EXPECT_THAT(names(chunk_of(all, 0, 3)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(names(chunk_of(all, 1, 3)), ElementsAre("d", "e", "f"));
  EXPECT_THAT(names(chunk_of(all, 2, 3)), ElementsAre("g", "h"));
  EXPECT_THAT(names(chunk_of(all, 0, 1)).size(), 8U);
  EXPECT_THAT(chunk_of(all, 9, 10), ElementsAre());
}

TEST(Select, KeepsTheSplitsOrder) {
  const auto all = rows({"a", "b", "c"});
  EXPECT_THAT(names(select(all, all, {"c", "a"})), ElementsAre("a", "c"));
  EXPECT_THAT(names(select(all, all, {})), ElementsAre("a", "b", "c"));
}

TEST(Select, ANameOfAnotherChunkIsNoError) {
  const auto all = rows({"a", "b"});
  EXPECT_THAT(names(select(chunk_of(all, 0, 2), all, {"b"})), ElementsAre());
}

TEST(Select, AnUnknownNameIsRefusedWithTheNearest) {
  const auto all = rows({"4ake_A", "1abc_B"});
  try {
    select(all, all, {"4ake_B"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--pdb_id 4ake_B: not in the split; did you mean 4ake_A?");
  }
}

TEST(GroupByLength, EqualLengthsInOrderUpToTheSize) {
  const auto groups = group_by_length(rows({"aa", "b", "cc", "d", "e", "ff"}), 2);
  ASSERT_EQ(groups.size(), 4U);
  EXPECT_THAT(names(groups[0]), ElementsAre("aa", "cc"));
  EXPECT_THAT(names(groups[1]), ElementsAre("b", "d"));
  EXPECT_THAT(names(groups[2]), ElementsAre("e"));
  EXPECT_THAT(names(groups[3]), ElementsAre("ff"));
}

}  // namespace
}  // namespace mdgen::sample
