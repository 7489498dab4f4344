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

struct TerminalSize {
  std::size_t columns = 0;  // 0: it is no terminal
  std::size_t rows = 0;
};

// Where and how to call a coordinator.
struct Endpoint {
  std::string address;  // HOST:PORT
  access::Sources access;
  std::chrono::milliseconds answer_within{20'000};
};

struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::function<TerminalSize()> terminal;                        // of `out`, as it is now
  bool can_ask = false;                                          // a person answers on `in`
  std::function<std::string(const std::string& name)> variable;  // of the environment; empty: unset
  std::filesystem::path current_folder;                          // relative paths of a spec start here
  std::function<std::shared_ptr<JobApi>(const Endpoint&)> connect;
  // Hands a script to sbatch and returns the new batch job's number. Throws Error.
  std::function<std::string(const std::string& script)> submit_batch;
  std::filesystem::path launcher;  // mdgen-launch
  const Clock& clock;
  std::function<void(std::chrono::milliseconds)> sleep;
};

}  // namespace mdgen::client
