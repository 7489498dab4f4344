// healing MEGABYTES RANKS: what healing costs over Gloo on one machine: the digest of a state of this size,
// and its broadcast from rank 0 to all others (ranks are threads), beside the time of copying it once.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "core/train/state_image.h"
#include "tests/support/collective_backends.h"

namespace {

template <typename Work>
double milliseconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

// As many tensors as the full-size model's train state has, within a factor of two.
mdgen::checkpoint::TrainState state_of(std::int64_t megabytes) {
  constexpr std::int64_t kTensors = 1000;
  mdgen::checkpoint::TrainState state;
  for (std::int64_t i = 0; i < kTensors; ++i) {
    state.model["tensor." + std::to_string(i)] =
        at::full({megabytes * 1000 / kTensors, 250}, 0.5, at::kFloat);
  }
  return state;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: healing MEGABYTES RANKS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  at::set_num_threads(1);
  const mdgen::checkpoint::TrainState state = state_of(std::stoll(argv[1]));
  mdgen::checkpoint::TrainState copy = mdgen::checkpoint::snapshot(state);
  for (int round = 0; round < 3; ++round) {
    const double copied = milliseconds([&] { copy = mdgen::checkpoint::snapshot(state, std::move(copy)); });
    const double digested = milliseconds([&] { mdgen::train::state_digest(state); });
    double sent = 0;
    mdgen::testing::run_group_or_throw({"gloo", std::stoi(argv[2])}, [&](mdgen::comm::Collective& group) {
      const bool source = group.rank() == 0;
      const auto layout = mdgen::train::layout_of(state);
      group.barrier();
      const double mine = milliseconds([&] {
        mdgen::train::broadcast_tensors(group, at::kCPU, 0, !source, layout, state);
        group.barrier();
      });
      if (source) sent = mine;
    });
    std::printf("copy %.0f ms, digest %.0f ms, broadcast to %d %.0f ms\n", copied, digested,
                std::stoi(argv[2]) - 1, sent);
  }
  return 0;
}
