// How long a step waits for a checkpoint of the full-size model, beside a plain copy of as many bytes, in
// turns.
//
//   build/tests/checkpoint_blocked FOLDER [ROUNDS]
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint/background_writer.h"
#include "core/checkpoint/model_layout.h"
#include "core/config/spec.h"

namespace {

using namespace mdgen;
using checkpoint::TrainState;

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Weights, moving average and both moments, under their names.
TrainState full_size() {
  v1::JobSpec spec = config::default_spec();
  spec.mutable_model()->set_sim_condition(true);
  spec.mutable_model()->set_prepend_ipa(true);
  TrainState state;
  for (const checkpoint::LayoutTensor& tensor : checkpoint::model_layout(spec)) {
    state.model[tensor.name] = torch::rand(tensor.shape);
    state.ema[tensor.name] = torch::rand(tensor.shape);
    if (tensor.role != checkpoint::LayoutTensor::Role::kParameter) continue;
    state.optimizer["exp_avg." + tensor.name] = torch::rand(tensor.shape);
    state.optimizer["exp_avg_sq." + tensor.name] = torch::rand(tensor.shape);
  }
  return state;
}

std::vector<at::Tensor> all_of(const TrainState& state) {
  std::vector<at::Tensor> tensors;
  for (const auto* set : {&state.model, &state.ema, &state.optimizer})
    for (const auto& [name, tensor] : *set) tensors.push_back(tensor);
  return tensors;
}

void copy_plainly(const std::vector<at::Tensor>& from, at::Tensor& to) {
  auto* target = static_cast<char*>(to.data_ptr());
  for (const at::Tensor& tensor : from) {
    std::memcpy(target, tensor.data_ptr(), tensor.nbytes());
    target += tensor.nbytes();
  }
}

void row(const char* what, const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  std::printf("%-44s %8.1f ms  (%.1f to %.1f)\n", what, 1e3 * median(values), 1e3 * *least, 1e3 * *most);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: checkpoint_blocked FOLDER [ROUNDS]\n");
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::path(arguments[1]) / "checkpoint_blocked";
  const int rounds = count > 2 ? std::max(1, std::stoi(arguments[2])) : 7;
  TrainState live = full_size();
  const std::vector<at::Tensor> tensors = all_of(live);
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) bytes += static_cast<std::int64_t>(tensor.nbytes());
  at::Tensor warm = torch::zeros({bytes}, at::kByte);

  std::vector<double> plain, blocked, fresh, persisted;
  bool failed = false;
  {
    checkpoint::BackgroundWriter writer({folder, 1, {.keep_last = 1}},
                                        [&](const checkpoint::WriteResult& result) {
                                          blocked.push_back(result.blocked_seconds);
                                          persisted.push_back(result.persist_seconds);
                                          failed |= !result.problem.empty();
                                        });
    writer.prepare(live);
    for (int round = 1; round <= rounds; ++round) {
      writer.flush();
      plain.push_back(seconds([&] { copy_plainly(tensors, warm); }));
      fresh.push_back(seconds([&] { checkpoint::snapshot(live); }));
      live.summary.step = round;
      writer.write(live);
    }
  }
  std::filesystem::remove_all(folder);
  std::printf("%.1f MB in %zu tensors, %d threads, median of %d\n", static_cast<double>(bytes) / 1e6,
              tensors.size(), at::get_num_threads(), rounds);
  row("plain copy into a warm buffer (memcpy)", plain);
  row("the step waits (first one included)", blocked);
  row("copy into a fresh buffer", fresh);
  row("until it is on the disk and read back", persisted);
  std::printf("waits / plain copy: %.2f; first: %.2f\n", median(blocked) / median(plain),
              blocked[0] / plain[0]);
  return failed ? 1 : 0;
}
