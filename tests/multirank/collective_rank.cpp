// One rank that reduces for ever: collective_rank RANK WORLD_SIZE FOLDER [BACKEND]. Its rendezvous is files
// in FOLDER. Prints "step N" after each sum; a line on standard input is an abort, as the agent would order
// it. On an Error it prints "error CODE TEXT" and exits 3.
#include <signal.h>

#include <iostream>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "core/comm/collective.h"
#include "tests/support/file_exchange.h"

namespace {

using mdgen::comm::Collective;

void reduce_for_ever(Collective& group) {
  const int n = group.world_size();
  for (int step = 1;; ++step) {
    const at::Tensor tensor = at::full({1 << 20}, group.rank() + 1.0, at::kFloat);
    group.all_reduce(tensor);
    if (!tensor.eq(n * (n + 1) / 2.0).all().item<bool>()) throw std::runtime_error("a wrong sum");
    std::cout << "step " << step << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: collective_rank RANK WORLD_SIZE FOLDER [BACKEND]\n";
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  at::set_num_threads(1);
  mdgen::comm::CollectiveOptions options;
  options.rank = std::stoi(argv[1]);
  options.world_size = std::stoi(argv[2]);
  if (argc == 5) options.backend = argv[4];
  try {
    const auto group = mdgen::comm::make_collective(
        options, mdgen::testing::file_exchange(argv[3], "group", options.rank, options.world_size));
    std::thread([&group] {
      std::string line;
      if (std::getline(std::cin, line)) group->abort(line);
    }).detach();
    reduce_for_ever(*group);
  } catch (const mdgen::Error& error) {
    std::cout << "error " << mdgen::error_code_name(error.code()) << " " << error.what() << std::endl;
    std::_Exit(3);
  }
  return 0;
}
