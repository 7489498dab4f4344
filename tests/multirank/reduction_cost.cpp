// What determinism: strict costs: the sum of gradients by GradientReducer and by TreeReducer, in turns,
// between processes over Gloo.
//   reduction_cost WORLD_SIZE FLOATS MICRO_BATCHES ROUNDS
// It starts its other ranks itself. A micro-batch's backward pass only makes its gradients, so what is
// measured is accumulating and reducing. Prints the medians of the steps' times, of rank 0, whose end is
// everybody's.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/comm/collective.h"
#include "core/comm/gradient_reducer.h"
#include "core/comm/tree_reducer.h"
#include "tests/support/file_exchange.h"

namespace {

using mdgen::comm::Collective;
using mdgen::comm::GradientSum;

std::vector<at::Tensor> parameters(std::int64_t floats) {
  constexpr std::int64_t kTensors = 64;
  std::vector<at::Tensor> all;
  for (std::int64_t i = 0; i < kTensors; ++i) {
    all.push_back(at::ones({std::max<std::int64_t>(1, floats / kTensors)}).requires_grad_(true));
  }
  return all;
}

double step(GradientSum& sum, Collective& group, const std::vector<at::Tensor>& weights,
            const std::vector<std::int64_t>& bounds) {
  const auto rank = static_cast<std::size_t>(group.rank());
  group.barrier();
  const auto begin = std::chrono::steady_clock::now();
  sum.start_step(bounds);
  for (std::int64_t shard = bounds[rank]; shard < bounds[rank + 1]; ++shard) {
    sum.before_backward(shard + 1 == bounds[rank + 1]);
    at::Tensor loss = at::zeros({});
    for (const at::Tensor& weight : weights) loss = loss + weight.sum();
    loss.backward();
    sum.after_backward();
  }
  sum.finish_step();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

// Each sum alone in its process's memory: both hold buffers of the gradients' size.
void measure(Collective& group, const std::vector<std::int64_t>& words) {
  std::vector<std::int64_t> bounds;
  for (int r = 0; r <= group.world_size(); ++r) bounds.push_back(words[2] * r / group.world_size());
  const std::vector<at::Tensor> weights = parameters(words[1]);
  std::vector<double> usual, strict;
  for (std::int64_t round = -1; round < words[3]; ++round) {
    for (const bool tree : {false, true}) {
      std::unique_ptr<GradientSum> sum;
      if (tree) {
        sum = std::make_unique<mdgen::comm::TreeReducer>(weights, group);
      } else {
        sum = std::make_unique<mdgen::comm::GradientReducer>(weights, group);
      }
      step(*sum, group, weights, bounds);  // touches its buffers
      for (int i = 0; i < 3; ++i) {
        const double time = step(*sum, group, weights, bounds);
        if (round >= 0) (tree ? strict : usual).push_back(time);
      }
    }
  }
  if (group.rank() != 0) return;
  std::printf("%d ranks, %lld floats, %lld micro-batches: default %.1f ms, strict %.1f ms, ratio %.2f\n",
              group.world_size(), static_cast<long long>(words[1]), static_cast<long long>(words[2]),
              median(usual), median(strict), median(strict) / median(usual));
}

void run_rank(int rank, const std::vector<std::int64_t>& words, const std::string& folder) {
  at::set_num_threads(1);
  mdgen::comm::CollectiveOptions options;
  options.rank = rank;
  options.world_size = static_cast<int>(words[0]);
  const auto exchange = mdgen::testing::file_exchange(folder, "group", rank, options.world_size);
  const auto group = mdgen::comm::make_collective(options, exchange);
  measure(*group, words);
  group->barrier();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: reduction_cost WORLD_SIZE FLOATS MICRO_BATCHES ROUNDS\n";
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::int64_t> words;
  for (int i = 1; i < argc; ++i) words.push_back(std::stoll(argv[i]));
  std::string folder = (std::filesystem::temp_directory_path() / "mdgen-reduction-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  int rank = 0;
  for (int other = 1; other < words[0] && rank == 0; ++other) {
    if (::fork() == 0) rank = other;
  }
  run_rank(rank, words, folder);
  if (rank != 0) std::_Exit(0);
  while (::wait(nullptr) > 0) {
  }
  std::filesystem::remove_all(folder);
  return 0;
}
