// Writes the event file that test_tensorboard.py reads with TensorBoard itself: write_events FOLDER [FIRST].
// With FIRST: of a run that goes on at that step, whose losses are doubled.
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "core/format/tensorboard.h"

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: write_events FOLDER [FIRST]\n";
    return 2;
  }
  mdgen::format::EventWriter writer(argv[1]);
  const mdgen::Clock::Wall start(std::chrono::seconds(1'700'000'000));
  const int first = argc == 3 ? std::atoi(argv[2]) : 1;
  if (first > 1) writer.go_on(first, start);
  for (int step = first; step <= 300; ++step) {
    writer.scalar("train/loss", step, (first > 1 ? 2.0 : 1.0) / step, start + std::chrono::seconds(step));
    if (step % 100 == 0) writer.scalar("val/loss", step, step / 100 - 1, start + std::chrono::seconds(step));
  }
  writer.text("config/text_summary", "    lr: 0.1\n", start);
  writer.flush();
  return 0;
}
