#include "core/comm/local/local_group.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/comm/arguments.h"

namespace mdgen::comm {
namespace {

struct Operation {
  std::string name;
  int root = -1;
};

// One operation of the group: every rank joins once, the last one computes.
struct Round {
  Operation operation;
  std::vector<at::Tensor> tensors;   // by rank
  std::vector<at::Tensor> gathered;  // all_gather's result
  struct Exchange {
    at::Tensor output;
    Splits output_splits;
    Splits input_splits;
  };
  std::vector<Exchange> exchanges;  // all_to_all's, by rank
  std::vector<bool> joined;
  int arrived = 0;
  bool done = false;
};

std::string describe(const at::Tensor& tensor) {
  std::string text = std::string(c10::toString(tensor.scalar_type())) + "[";
  for (const std::int64_t size : tensor.sizes()) text += std::to_string(size) + ",";
  if (text.back() == ',') text.pop_back();
  return text + "]";
}

// Rank `to` takes its piece of each rank's input.
void receive(const Round& round, std::size_t to) {
  const Round::Exchange& mine = round.exchanges[to];
  std::int64_t at = 0;
  for (std::size_t from = 0; from < round.exchanges.size(); ++from) {
    const Splits& splits = round.exchanges[from].input_splits;
    const std::int64_t begin =
        std::accumulate(splits.begin(), splits.begin() + static_cast<std::ptrdiff_t>(to), std::int64_t{0});
    const std::int64_t count = mine.output_splits[from];
    if (splits[to] != count) {
      throw Error(ErrorCode::kInternal, "rank " + std::to_string(from) + " sends " +
                                            std::to_string(splits[to]) + " elements to rank " +
                                            std::to_string(to) + ", which expects " + std::to_string(count));
    }
    mine.output.narrow(0, at, count).copy_(round.tensors[from].narrow(0, begin, count));
    at += count;
  }
}

void compute(Round& round) {
  const at::NoGradGuard no_grad;
  const std::string& name = round.operation.name;
  if (name == "all_reduce") {
    if (round.tensors.size() == 1) return;
    at::Tensor sum = round.tensors[0].clone();
    for (std::size_t rank = 1; rank < round.tensors.size(); ++rank) sum.add_(round.tensors[rank]);
    for (at::Tensor& tensor : round.tensors) tensor.copy_(sum);
  } else if (name == "broadcast") {
    const at::Tensor source = round.tensors[static_cast<std::size_t>(round.operation.root)];
    for (at::Tensor& tensor : round.tensors) {
      if (!tensor.is_same(source)) tensor.copy_(source);
    }
  } else if (name == "all_gather") {
    for (const at::Tensor& tensor : round.tensors) round.gathered.push_back(tensor.detach().clone());
  } else if (name == "all_to_all") {
    for (std::size_t to = 0; to < round.exchanges.size(); ++to) receive(round, to);
  }
}

class Group {
 public:
  explicit Group(int world_size)
      : world_size_(world_size), sequence_(static_cast<std::size_t>(world_size), 0) {}

  int world_size() const { return world_size_; }

  std::shared_ptr<Round> join(int rank, const Operation& operation, at::Tensor tensor,
                              Round::Exchange exchange = {}) {
    const std::lock_guard lock(mutex_);
    throw_if_broken_locked(operation.name, rank);
    const std::uint64_t number = sequence_[static_cast<std::size_t>(rank)]++;
    std::shared_ptr<Round>& slot = rounds_[number];
    if (!slot) {
      slot = std::make_shared<Round>();
      slot->operation = operation;
      slot->tensors.resize(static_cast<std::size_t>(world_size_));
      slot->joined.resize(static_cast<std::size_t>(world_size_));
      slot->exchanges.resize(static_cast<std::size_t>(world_size_));
    }
    const std::shared_ptr<Round> round = slot;
    check_match_locked(*round, rank, operation, tensor);
    round->tensors[static_cast<std::size_t>(rank)] = std::move(tensor);
    round->joined[static_cast<std::size_t>(rank)] = true;
    round->exchanges[static_cast<std::size_t>(rank)] = std::move(exchange);
    if (++round->arrived == world_size_) {
      compute_locked(*round, rank);
      round->done = true;
      rounds_.erase(number);
      changed_.notify_all();
    }
    fail_if_someone_left_locked();
    return round;
  }

  void wait(const Round& round, int rank) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return round.done || broken_.has_value(); });
    if (!round.done) throw_if_broken_locked(round.operation.name, rank);
  }

  void break_with(ErrorCode code, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    break_locked(code, reason);
  }

  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    left_.push_back(rank);
    fail_if_someone_left_locked();
  }

 private:
  void break_locked(ErrorCode code, const std::string& reason) {
    if (!broken_) broken_.emplace(code, reason);
    changed_.notify_all();
  }

  void compute_locked(Round& round, int rank) {
    try {
      compute(round);
    } catch (const Error& error) {
      break_locked(ErrorCode::kInternal, std::string("ranks disagree: ") + error.what());
      throw_if_broken_locked(round.operation.name, rank);
    }
  }

  void throw_if_broken_locked(const std::string& operation, int rank) const {
    if (!broken_) return;
    throw CollectiveError(broken_->first, operation + " on rank " + std::to_string(rank) + " of " +
                                              std::to_string(world_size_) + ": " + broken_->second);
  }

  void fail_if_someone_left_locked() {
    for (const auto& [number, round] : rounds_) {
      for (const int rank : left_) {
        if (!round->joined[static_cast<std::size_t>(rank)]) {
          break_locked(ErrorCode::kUnavailable, "rank " + std::to_string(rank) + " is gone");
          return;
        }
      }
    }
  }

  void check_match_locked(const Round& round, int rank, const Operation& operation,
                          const at::Tensor& tensor) {
    std::string mismatch;
    if (round.operation.name != operation.name || round.operation.root != operation.root) {
      mismatch =
          "others call " + round.operation.name + " (root " + std::to_string(round.operation.root) + ")";
    }
    for (const at::Tensor& other : round.tensors) {
      if (!other.defined() || !tensor.defined()) continue;
      if (operation.name == "all_to_all" && other.scalar_type() == tensor.scalar_type()) continue;
      if (other.sizes() == tensor.sizes() && other.scalar_type() == tensor.scalar_type()) continue;
      mismatch = "another rank gave " + describe(other) + ", this one " + describe(tensor);
    }
    if (mismatch.empty()) return;
    break_locked(ErrorCode::kInternal, "ranks disagree: " + mismatch);
    throw_if_broken_locked(operation.name, rank);
  }

  const int world_size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> sequence_;  // operations begun, by rank
  std::map<std::uint64_t, std::shared_ptr<Round>> rounds_;
  std::vector<int> left_;
  std::optional<std::pair<ErrorCode, std::string>> broken_;
};

class LocalPending : public Pending {
 public:
  LocalPending(std::shared_ptr<Group> group, std::shared_ptr<Round> round, int rank)
      : group_(std::move(group)), round_(std::move(round)), rank_(rank) {}
  void wait() override { group_->wait(*round_, rank_); }

 private:
  std::shared_ptr<Group> group_;
  std::shared_ptr<Round> round_;
  int rank_;
};

class LocalCollective : public Collective {
 public:
  LocalCollective(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}
  ~LocalCollective() override { group_->leave(rank_); }

  int rank() const override { return rank_; }
  int world_size() const override { return group_->world_size(); }
  bool supports_abort() const override { return true; }

  std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) override {
    return std::make_unique<LocalPending>(group_, group_->join(rank_, {"all_reduce"}, std::move(tensor)),
                                          rank_);
  }
  void broadcast(at::Tensor tensor, int root) override { run({"broadcast", root}, std::move(tensor)); }
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    const std::shared_ptr<Round> round = run({"all_gather"}, tensor);
    std::vector<at::Tensor> result;
    for (const at::Tensor& part : round->gathered) result.push_back(part.clone());
    return result;
  }
  void all_gather_into(at::Tensor output, const at::Tensor& input) override {
    check_all_gather_into(output, input, world_size());
    const at::NoGradGuard no_grad;
    const std::shared_ptr<Round> round = run({"all_gather"}, input);
    const at::Tensor parts = output.detach().view({world_size(), -1});
    for (int r = 0; r < world_size(); ++r) {
      parts[r].copy_(round->gathered[static_cast<std::size_t>(r)].view({-1}));
    }
  }
  std::unique_ptr<Pending> all_to_all_async(at::Tensor output, Splits output_splits, at::Tensor input,
                                            Splits input_splits) override {
    check_all_to_all(output, output_splits, input, input_splits, world_size());
    return std::make_unique<LocalPending>(
        group_,
        group_->join(rank_, {"all_to_all"}, std::move(input),
                     {std::move(output), std::move(output_splits), std::move(input_splits)}),
        rank_);
  }
  void barrier() override { run({"barrier"}, at::Tensor()); }
  void abort(const std::string& reason) override { group_->break_with(ErrorCode::kAborted, reason); }

 private:
  std::shared_ptr<Round> run(const Operation& operation, at::Tensor tensor) {
    std::shared_ptr<Round> round = group_->join(rank_, operation, std::move(tensor));
    group_->wait(*round, rank_);
    return round;
  }

  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Collective>> make_local_group(int world_size) {
  const auto group = std::make_shared<Group>(world_size);
  std::vector<std::unique_ptr<Collective>> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.push_back(std::make_unique<LocalCollective>(group, rank));
  }
  return ranks;
}

}  // namespace mdgen::comm
