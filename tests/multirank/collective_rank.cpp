// One rank that reduces for ever: collective_rank RANK WORLD_SIZE FOLDER. Its rendezvous is files in FOLDER.
// Prints "step N" after each sum; a line on standard input is an abort, as the agent would order it. On an
// Error it prints "error CODE TEXT" and exits 3.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/comm/collective.h"

namespace {

using mdgen::comm::Collective;

mdgen::comm::Exchange exchange_by_files(const std::filesystem::path& folder, int rank, int world_size) {
  return [=](const std::string& key, const std::string& blob) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '/', '-');
    const auto file = [&](int of) { return folder / (name + "." + std::to_string(of)); };
    mdgen::replace_file(file(rank), blob);
    std::vector<std::string> blobs;
    for (int other = 0; other < world_size; ++other) {
      while (!std::filesystem::exists(file(other))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      blobs.push_back(mdgen::read_file(file(other)));
    }
    return blobs;
  };
}

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
  if (argc != 4) {
    std::cerr << "usage: collective_rank RANK WORLD_SIZE FOLDER\n";
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  at::set_num_threads(1);
  mdgen::comm::CollectiveOptions options;
  options.rank = std::stoi(argv[1]);
  options.world_size = std::stoi(argv[2]);
  try {
    const auto group =
        mdgen::comm::make_collective(options, exchange_by_files(argv[3], options.rank, options.world_size));
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
