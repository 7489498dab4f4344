// One rank of tests/support/conformance.h between processes:
//   conformance_rank BACKEND RANK WORLD_SIZE FOLDER [CASE …]
// Its rendezvous is files in FOLDER. Without CASE all cases that leave the group whole. A fresh group for
// each case; prints "passed CASE" or "FAILED CASE: why", and exits 1 after a failure. RANK and WORLD_SIZE may
// be "mpirun": then they are mpirun's.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/comm/collective.h"
#include "tests/support/conformance.h"
#include "tests/support/file_exchange.h"

namespace {

using mdgen::testing::ConformanceCase;

int number(const std::string& text, const char* variable) {
  return std::stoi(text == "mpirun" ? std::getenv(variable) : text);
}

bool run_case(const ConformanceCase& one, mdgen::comm::CollectiveOptions options,
              const std::filesystem::path& folder) {
  try {
    const auto exchange = mdgen::testing::file_exchange(folder, one.name, options.rank, options.world_size);
    const auto group = mdgen::comm::make_collective(options, exchange);
    int meetings = 0;
    one.body(*group, [&] { exchange("meet/" + std::to_string(meetings++), ""); });
    exchange("over", "");
    std::cout << "passed " << one.name << std::endl;
    return true;
  } catch (const std::exception& error) {
    std::cout << "FAILED " << one.name << ": " << error.what() << std::endl;
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4) {
    std::cerr << "usage: conformance_rank BACKEND RANK WORLD_SIZE FOLDER [CASE …]\n";
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  at::set_num_threads(1);
  mdgen::comm::CollectiveOptions options;
  options.backend = words[0];
  options.rank = number(words[1], "OMPI_COMM_WORLD_RANK");
  options.world_size = number(words[2], "OMPI_COMM_WORLD_SIZE");
  bool all_passed = true;
  for (const ConformanceCase& one : mdgen::testing::conformance_cases()) {
    const bool named = std::find(words.begin() + 4, words.end(), one.name) != words.end();
    if (words.size() == 4 ? one.breaks_group : !named) continue;
    all_passed = run_case(one, options, words[3]) && all_passed;
    if (!all_passed) break;
  }
  return all_passed ? 0 : 1;
}
