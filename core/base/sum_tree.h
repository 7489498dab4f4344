// A fixed binary tree over the `leaves` terms of a sum, so that the sum has the same bits whoever adds which
// part of it. No LibTorch.
//
// Node (level, index) covers the leaves [index 2^level, (index + 1) 2^level) that there are. Its left child
// is (level - 1, 2 index), its right one (level - 1, 2 index + 1); a node whose right child covers no leaf is
// its left child. So the tree is a function of the number of leaves alone, which need not be a power of two:
// seven leaves make ((0 + 1) + (2 + 3)) + ((4 + 5) + 6). The left child is always the left operand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace mdgen {

struct TreeNode {
  int level = 0;
  std::int64_t index = 0;

  std::int64_t begin() const { return index << level; }
  std::int64_t end(std::int64_t leaves) const { return std::min((index + 1) << level, leaves); }
  bool operator==(const TreeNode&) const = default;
};

inline bool is_root(TreeNode node, std::int64_t leaves) {
  return node.index == 0 && (std::int64_t{1} << node.level) >= leaves;
}

// The highest node that covers the same leaves: one that is a right child, the root, or a left child with a
// sibling.
inline TreeNode raised(TreeNode node, std::int64_t leaves) {
  while (node.index % 2 == 0 && !is_root(node, leaves) && ((node.index + 1) << node.level) >= leaves) {
    node = {node.level + 1, node.index / 2};
  }
  return node;
}

// The fewest nodes that cover the leaves [begin, end), in order; at most two a level.
inline std::vector<TreeNode> nodes_of(std::int64_t leaves, std::int64_t begin, std::int64_t end) {
  std::vector<TreeNode> nodes;
  while (begin < end) {
    TreeNode node = raised({0, begin}, leaves);
    while (node.index % 2 == 0 && !is_root(node, leaves)) {
      const TreeNode parent = raised({node.level + 1, node.index / 2}, leaves);
      if (parent.end(leaves) > end) break;
      node = parent;
    }
    nodes.push_back(node);
    begin = node.end(leaves);
  }
  return nodes;
}

// Adds neighbouring nodes as they come: partial sums of siblings are added at once, so at most two values a
// level are kept. `Add` is called as add(left, right) and leaves the sum in `left`.
template <typename Value>
class TreeSum {
 public:
  using Add = std::function<void(Value& left, Value& right)>;
  struct Part {
    TreeNode node;
    Value value;
  };

  TreeSum(std::int64_t leaves, Add add) : leaves_(leaves), add_(std::move(add)) {}

  // The sum over `node`, which begins where the one before ended (the first may begin anywhere).
  void push(TreeNode node, Value value) {
    parts_.push_back({raised(node, leaves_), std::move(value)});
    while (parts_.size() > 1 && are_siblings(parts_[parts_.size() - 2].node, parts_.back().node)) {
      Part& left = parts_[parts_.size() - 2];
      add_(left.value, parts_.back().value);
      left.node = raised({left.node.level + 1, left.node.index / 2}, leaves_);
      parts_.pop_back();
    }
  }

  // What cannot be added further, in order: nodes_of the range that was pushed.
  std::vector<Part>& parts() { return parts_; }

 private:
  static bool are_siblings(TreeNode left, TreeNode right) {
    return right.index % 2 == 1 && left.level == right.level && left.index + 1 == right.index;
  }

  std::int64_t leaves_;
  Add add_;
  std::vector<Part> parts_;
};

// Of all of them, by the tree; 0 of none.
inline double tree_sum(std::span<const double> values) {
  const auto leaves = static_cast<std::int64_t>(values.size());
  TreeSum<double> sum(leaves, [](double& left, double& right) { left += right; });
  for (std::int64_t i = 0; i < leaves; ++i) sum.push({0, i}, values[static_cast<std::size_t>(i)]);
  return leaves == 0 ? 0 : sum.parts().front().value;
}

}  // namespace mdgen
