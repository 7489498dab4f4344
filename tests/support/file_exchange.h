// What the coordinator's Exchange RPC does, by files in a folder: for ranks that are processes.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/base/files.h"
#include "core/comm/collective.h"

namespace mdgen::testing {

// `round` keeps groups that form one after the other apart.
inline comm::Exchange file_exchange(const std::filesystem::path& folder, const std::string& round, int rank,
                                    int world_size) {
  return [=](const std::string& key, const std::string& blob) {
    std::string name = round + "-" + key;
    std::replace(name.begin(), name.end(), '/', '-');
    const auto file = [&](int of) { return folder / (name + "." + std::to_string(of)); };
    replace_file(file(rank), blob);
    std::vector<std::string> blobs;
    for (int other = 0; other < world_size; ++other) {
      while (!std::filesystem::exists(file(other))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      blobs.push_back(read_file(file(other)));
    }
    return blobs;
  };
}

}  // namespace mdgen::testing
