// Writes the checkpoint files that test_safetensors.py reads with the real library: write_sample FOLDER.
#include <filesystem>
#include <iostream>

#include "core/checkpoint/train_state.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_sample FOLDER\n";
    return 2;
  }
  mdgen::checkpoint::TrainState state;
  state.model = {{"counts", torch::arange(6).view({2, 3})},
                 {"weight", torch::arange(12, at::kFloat).div(8).view({3, 4}).t()},
                 {"half", torch::arange(4, at::kFloat).div(4).to(at::kHalf)},
                 {"scalar", torch::tensor(2.5, at::kDouble)}};
  state.optimizer = {{"step", torch::tensor(std::int64_t{7})}};
  state.summary.step = 7;
  std::filesystem::create_directories(argv[1]);
  mdgen::checkpoint::write_files(argv[1], state);
  return 0;
}
