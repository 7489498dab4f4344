// What the client's verbs touch of the world, so that tests put their own in place.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "services/client/job_api.h"

namespace mdgen::client {

struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::size_t terminal_columns = 0;      // of `out`; 0: it is no terminal
  std::string default_address;           // MDGEN_ADDRESS; may be empty
  std::filesystem::path current_folder;  // relative paths of a spec start here
  std::function<std::unique_ptr<JobApi>(const std::string& address, const access::Sources&)> connect;
  // Hands a script to sbatch and returns the new batch job's number. Throws Error.
  std::function<std::string(const std::string& script)> submit_batch;
  std::filesystem::path launcher;  // mdgen-launch
  const Clock& clock;
  std::function<void(std::chrono::milliseconds)> sleep;
};

}  // namespace mdgen::client
