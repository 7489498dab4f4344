#include "core/base/sum_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "core/base/philox.h"

namespace mdgen {
namespace {

using ::testing::ElementsAre;

// The tree by its definition from above: a node is split at the largest power of two below its leaves.
std::string written_out(std::int64_t begin, std::int64_t end) {
  if (end - begin == 1) return std::to_string(begin);
  std::int64_t left = 1;
  while (2 * left < end - begin) left *= 2;
  return "(" + written_out(begin, begin + left) + "+" + written_out(begin + left, end) + ")";
}

using TextSum = TreeSum<std::string>;

TextSum text_sum(std::int64_t leaves) {
  return {leaves, [](std::string& left, std::string& right) { left = "(" + left + "+" + right + ")"; }};
}

// What each of the ranks has, then all of it together.
std::string by_ranks(std::int64_t leaves, const std::vector<std::int64_t>& bounds) {
  TextSum whole = text_sum(leaves);
  for (std::size_t rank = 0; rank + 1 < bounds.size(); ++rank) {
    TextSum mine = text_sum(leaves);
    for (std::int64_t leaf = bounds[rank]; leaf < bounds[rank + 1]; ++leaf) {
      mine.push({0, leaf}, std::to_string(leaf));
    }
    std::vector<TreeNode> nodes;
    for (TextSum::Part& part : mine.parts()) {
      nodes.push_back(part.node);
      whole.push(part.node, std::move(part.value));
    }
    EXPECT_EQ(nodes, nodes_of(leaves, bounds[rank], bounds[rank + 1]));
  }
  EXPECT_EQ(whole.parts().size(), 1U);
  EXPECT_TRUE(is_root(whole.parts().front().node, leaves));
  return whole.parts().front().value;
}

std::uint32_t drawn(std::uint32_t counter) { return philox4x32({counter, 0, 0, 0}, {7, 11})[0]; }

TEST(SumTree, SevenLeaves) {
  EXPECT_EQ(by_ranks(7, {0, 7}), "(((0+1)+(2+3))+((4+5)+6))");
  EXPECT_THAT(nodes_of(7, 0, 7), ElementsAre(TreeNode{3, 0}));
  EXPECT_THAT(nodes_of(7, 3, 7), ElementsAre(TreeNode{0, 3}, TreeNode{2, 1}));
  EXPECT_THAT(nodes_of(7, 6, 7), ElementsAre(TreeNode{1, 3}));
}

// Every number of leaves up to 70, every world size up to it, cuts at random places (some ranks empty).
TEST(SumTree, AnySplitOverRanks_IsTheSameTree) {
  std::uint32_t counter = 0;
  for (std::int64_t leaves = 1; leaves <= 70; ++leaves) {
    const std::string expected = written_out(0, leaves);
    for (std::int64_t ranks = 1; ranks <= leaves; ++ranks) {
      std::vector<std::int64_t> even = {0};
      std::vector<std::int64_t> random = {0, leaves};
      for (std::int64_t rank = 1; rank <= ranks; ++rank) even.push_back(leaves * rank / ranks);
      for (std::int64_t rank = 1; rank < ranks; ++rank) {
        random.push_back(drawn(++counter) % static_cast<std::uint32_t>(leaves + 1));
      }
      std::sort(random.begin(), random.end());
      ASSERT_EQ(by_ranks(leaves, even), expected) << leaves << " leaves, " << ranks << " ranks";
      ASSERT_EQ(by_ranks(leaves, random), expected) << leaves << " leaves, " << ranks << " ranks";
    }
  }
}

TEST(SumTree, EveryRange_KeepsAtMostTwoPartsALevel) {
  for (std::int64_t leaves = 1; leaves <= 70; ++leaves) {
    for (std::int64_t begin = 0; begin < leaves; ++begin) {
      TextSum sum = text_sum(leaves);
      for (std::int64_t end = begin + 1; end <= leaves; ++end) {
        sum.push({0, end - 1}, "x");
        const auto bound = 2 * std::bit_width(static_cast<std::uint64_t>(end - begin));
        ASSERT_LE(sum.parts().size(), static_cast<std::size_t>(bound)) << begin << " to " << end;
        std::size_t covering = 0;
        for (const TreeNode node : nodes_of(leaves, begin, end)) {
          covering += static_cast<std::size_t>(node.end(leaves) - node.begin());
        }
        ASSERT_EQ(covering, static_cast<std::size_t>(end - begin));
      }
    }
  }
}

TEST(SumTree, FromTheFirstLeaf_PartsGrowWithTheLogarithm) {
  TextSum sum = text_sum(1 << 20);
  std::size_t most = 0;
  for (std::int64_t leaf = 0; leaf < (1 << 20) - 1; ++leaf) {
    sum.push({0, leaf}, "");
    most = std::max(most, sum.parts().size());
  }
  EXPECT_EQ(most, 20U);
}

TEST(TreeSum, OfDoubles_IsTheTreeAndNotTheSequence) {
  EXPECT_EQ(tree_sum({}), 0);
  const std::vector<double> values = {1e16, 1, 1, -1e16, 3};
  EXPECT_EQ(tree_sum(values), ((1e16 + 1) + (1 - 1e16)) + 3);
  EXPECT_NE(tree_sum(values), (((1e16 + 1) + 1) - 1e16) + 3.5);
}

}  // namespace
}  // namespace mdgen
