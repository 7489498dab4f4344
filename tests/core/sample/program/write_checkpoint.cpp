// Writes a run folder for test_sample.py: write_checkpoint RUN_FOLDER [TRAINING FLAGS].
#include <iostream>

#include "drawn_checkpoint.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: write_checkpoint RUN_FOLDER [TRAINING FLAGS]\n";
    return 2;
  }
  std::cout << mdgen::testing::write_drawn_checkpoint(argv[1], {argv + 2, argv + argc}).string() << '\n';
}
