// Two training steps on synthetic proteins, and the memory and time they took:
//   train_memory FRAMES RESIDUES BATCH [flag=value …]
// A full-size model (the schema's defaults) unless the flags say otherwise.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace {

// From /proc/self/status, in MiB.
double status_mib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: train_memory FRAMES RESIDUES BATCH [flag=value ...]\n");
    return 2;
  }
  const std::string frames = argv[1], residues = argv[2], batch = argv[3];
  const mdgen::testing::TempDir folder;
  const auto data = mdgen::testing::make_synthetic_dataset(folder / "data", {.lengths = {std::stoi(residues)},
                                                                             .frames = std::stoi(frames) + 2,
                                                                             .replicas = 3,
                                                                             .dtype = "<f2",
                                                                             .suffix = {},
                                                                             .seed = 3});
  std::vector<std::string> flags = {"num_layers=5",
                                    "embed_dim=384",
                                    "mha_heads=16",
                                    "ipa_heads=4",
                                    "ipa_head_dim=32",
                                    "ipa_qk=8",
                                    "ipa_v=8",
                                    "num_frames=" + frames,
                                    "crop=" + residues,
                                    "batch_size=" + batch,
                                    "global_batch_size=" + batch,
                                    "max_steps=2",
                                    "train_repeat=8",
                                    "ema=false"};
  flags.insert(flags.end(), argv + 4, argv + argc);
  const mdgen::v1::JobSpec spec = mdgen::testing::tiny_spec(data, folder.path(), flags);
  double seconds = 0;
  double before = 0;
  double peak = 0;
  mdgen::testing::RunOptions options;
  options.on_step = [&](const mdgen::v1::StepReport& report) {
    seconds = report.seconds();
    peak = status_mib("VmHWM");
  };
  before = status_mib("VmRSS");
  const auto result = mdgen::testing::run_training(spec, options);
  std::printf(
      "%s frames, %s residues, batch %s: %lld parameters, peak %.0f MiB (%.0f MiB at the start), last step "
      "%.1f s, loss %.9g\n",
      frames.c_str(), residues.c_str(), batch.c_str(),
      static_cast<long long>(result.observer.start.parameters()), peak, before, seconds,
      result.observer.steps.back().loss());
  return 0;
}
