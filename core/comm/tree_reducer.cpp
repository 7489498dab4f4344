#include "core/comm/tree_reducer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/sum_tree.h"
#include "core/comm/gradient_layout.h"

namespace mdgen::comm {

struct TreeReducer::State {
  // A partial sum; undefined: the gradients that the parameters hold at this moment.
  using Sum = TreeSum<at::Tensor>;

  State(std::vector<at::Tensor> given, Collective& with)
      : layout(std::move(given)), collective(with), reached(layout.parameters().size()), sum(new_sum(0)) {
    const std::int64_t ranks = collective.world_size();
    slice = (layout.elements() + ranks - 1) / ranks;
  }

  std::size_t ranks() const { return static_cast<std::size_t>(collective.world_size()); }
  std::size_t rank() const { return static_cast<std::size_t>(collective.rank()); }
  std::int64_t shards() const { return bounds.empty() ? 0 : bounds.back(); }

  Sum new_sum(std::int64_t leaves) {
    return {leaves, [this](at::Tensor& left, at::Tensor& right) {
              if (right.defined()) {
                left.add_(right);
                give_back(right);
              } else {
                add_gradients(left);
              }
            }};
  }

  // A whole number of slices.
  at::Tensor take_buffer() {
    if (free.empty()) return at::zeros({slice * collective.world_size()}, layout.options());
    at::Tensor buffer = std::move(free.back());
    free.pop_back();
    return buffer;
  }
  void give_back(at::Tensor& buffer) {
    if (buffer.defined()) free.push_back(std::exchange(buffer, at::Tensor()));
  }

  // Where there is no gradient, 0 is added: -0 becomes 0 as it does when the term comes from another rank.
  void add_gradients(const at::Tensor& buffer) {
    std::vector<at::Tensor> views, gradients;
    for (std::size_t i = 0; i < layout.parameters().size(); ++i) {
      const at::Tensor& gradient = layout.parameters()[i].grad();
      const at::Tensor view = layout.view(buffer, i);
      if (!gradient.defined()) {
        at::Tensor(view).add_(0);
        continue;
      }
      views.push_back(view);
      gradients.push_back(gradient);
    }
    if (!views.empty()) at::_foreach_add_(views, gradients);
  }
  at::Tensor copy_gradients() {
    const at::Tensor buffer = take_buffer();
    for (std::size_t i = 0; i < layout.parameters().size(); ++i) {
      const at::Tensor& gradient = layout.parameters()[i].grad();
      at::Tensor view = layout.view(buffer, i);
      gradient.defined() ? view.copy_(gradient) : view.zero_();
    }
    return buffer;
  }
  void drop_gradients() {
    for (const at::Tensor& parameter : layout.parameters()) parameter.mutable_grad().reset();
  }

  void check_share() const;
  at::Tensor exchange();
  std::unique_ptr<Pending> send_round(std::size_t round, at::Tensor received);
  void agree_on_reached();

  GradientLayout layout;
  Collective& collective;
  std::int64_t slice = 0;  // elements of a rank's part of the buffer
  std::vector<std::int64_t> bounds;
  std::vector<std::vector<TreeNode>> nodes;  // of each rank's range
  std::int64_t next_shard = 0;
  std::vector<bool> reached;  // by parameter: some backward pass of the step gave it a gradient, on this rank
  Sum sum;
  std::size_t most_parts = 0;
  std::vector<at::Tensor> free;
  at::Tensor scratch;  // what is received
  at::Tensor result;
  std::vector<std::size_t> unreached;
};

void TreeReducer::State::check_share() const {
  if (next_shard == bounds.at(rank() + 1)) return;
  throw Error(ErrorCode::kInternal, "rank " + std::to_string(rank()) + " has added the micro-batches up to " +
                                        std::to_string(next_shard) + ", but its share ends at " +
                                        std::to_string(bounds.at(rank() + 1)));
}

// Every rank's `round`-th partial sum, where it has so many.
std::unique_ptr<Pending> TreeReducer::State::send_round(std::size_t round, at::Tensor received) {
  Splits out(ranks(), 0);
  Splits in(ranks(), 0);
  at::Tensor input = at::empty({0}, layout.options());
  if (round < sum.parts().size()) {
    std::fill(out.begin(), out.end(), slice);
    input = sum.parts()[round].value;
  }
  for (std::size_t from = 0; from < ranks(); ++from) in[from] = round < nodes[from].size() ? slice : 0;
  return collective.all_to_all_async(std::move(received), std::move(in), std::move(input), std::move(out));
}

at::Tensor TreeReducer::State::exchange() {
  std::size_t all = 0;
  std::size_t rounds = 0;
  for (const auto& of_rank : nodes) {
    all += of_rank.size();
    rounds = std::max(rounds, of_rank.size());
  }
  const std::int64_t needed = static_cast<std::int64_t>(all) * slice;
  if (!scratch.defined() || scratch.numel() < needed) scratch = at::empty({needed}, layout.options());

  std::vector<std::unique_ptr<Pending>> pending;
  std::vector<std::vector<at::Tensor>> received(ranks());
  std::int64_t at = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::int64_t begin = at;
    for (std::size_t from = 0; from < ranks(); ++from) {
      if (round >= nodes[from].size()) continue;
      received[from].push_back(scratch.narrow(0, at, slice));
      at += slice;
    }
    pending.push_back(send_round(round, scratch.narrow(0, begin, at - begin)));
  }
  for (const auto& one : pending) one->wait();

  TreeSum<at::Tensor> slices(shards(), [](at::Tensor& left, at::Tensor& right) { left.add_(right); });
  for (std::size_t from = 0; from < ranks(); ++from) {
    for (std::size_t i = 0; i < nodes[from].size(); ++i) slices.push(nodes[from][i], received[from][i]);
  }
  for (auto& part : sum.parts()) give_back(part.value);
  at::Tensor whole = take_buffer();
  collective.all_gather_into(whole, slices.parts().front().value);
  return whole;
}

void TreeReducer::State::agree_on_reached() {
  at::Tensor ranks_with = at::zeros({static_cast<std::int64_t>(reached.size())}, at::kFloat);
  for (std::size_t i = 0; i < reached.size(); ++i) ranks_with.data_ptr<float>()[i] = reached[i] ? 1 : 0;
  ranks_with = ranks_with.to(layout.options().device());
  collective.all_reduce(ranks_with);
  ranks_with = ranks_with.cpu();
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (ranks_with.const_data_ptr<float>()[i] == 0) unreached.push_back(i);
  }
}

TreeReducer::TreeReducer(std::vector<at::Tensor> parameters, Collective& collective)
    : state_(std::make_unique<State>(std::move(parameters), collective)) {}
TreeReducer::~TreeReducer() = default;

void TreeReducer::start_step(const std::vector<std::int64_t>& bounds) {
  State& state = *state_;
  if (bounds.size() != state.ranks() + 1 || bounds.back() < 1) {
    throw Error(ErrorCode::kInternal, "a step's micro-batches are given by " + std::to_string(bounds.size()) +
                                          " bounds to " + std::to_string(state.ranks()) + " ranks");
  }
  state.bounds = bounds;
  state.nodes.clear();
  for (std::size_t rank = 0; rank < state.ranks(); ++rank) {
    state.nodes.push_back(nodes_of(state.shards(), bounds[rank], bounds[rank + 1]));
  }
  state.next_shard = bounds[state.rank()];
  state.give_back(state.result);
  for (auto& part : state.sum.parts()) state.give_back(part.value);
  state.sum = state.new_sum(state.shards());
  std::fill(state.reached.begin(), state.reached.end(), false);
  state.unreached.clear();
  state.drop_gradients();
}

void TreeReducer::before_backward(bool) {}

void TreeReducer::after_backward() {
  const at::NoGradGuard no_grad;
  State& state = *state_;
  for (std::size_t i = 0; i < state.reached.size(); ++i) {
    if (state.layout.parameters()[i].grad().defined()) state.reached[i] = true;
  }
  state.sum.push({0, state.next_shard++}, at::Tensor());
  at::Tensor& last = state.sum.parts().back().value;
  if (!last.defined()) last = state.copy_gradients();
  state.most_parts = std::max(state.most_parts, state.sum.parts().size());
  state.drop_gradients();
}

void TreeReducer::finish_step() {
  const at::NoGradGuard no_grad;
  State& state = *state_;
  state.check_share();
  state.agree_on_reached();
  if (state.ranks() == 1) {
    state.result = std::exchange(state.sum.parts().front().value, at::Tensor());
  } else {
    state.result = state.exchange();
  }
  for (std::size_t i = 0; i < state.reached.size(); ++i) {
    state.layout.parameters()[i].mutable_grad() = state.layout.view(state.result, i);
  }
  for (const std::size_t i : state.unreached) state.layout.parameters()[i].mutable_grad().reset();
}

at::Tensor TreeReducer::flat() const { return state_->result.narrow(0, 0, state_->layout.elements()); }

const std::vector<std::size_t>& TreeReducer::parameters_without_gradient() const { return state_->unreached; }

std::size_t TreeReducer::most_parts() const { return state_->most_parts; }

}  // namespace mdgen::comm
