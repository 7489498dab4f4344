// mdgen-coordinator as a child process, and what it uses.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace mdgen::load {

struct Usage {
  double cpu_seconds = 0.0;
  std::int64_t resident_bytes = 0;
  std::int64_t peak_bytes = 0;
};

Usage own_usage();

class CoordinatorProcess {
 public:
  // Starts it on a free port of loopback and waits until it is ready; its state and its log go under
  // `folder`. Throws Error.
  CoordinatorProcess(const std::filesystem::path& program, const std::filesystem::path& folder);
  ~CoordinatorProcess();  // stops it, in the end by force
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  const std::string& address() const { return address_; }  // gRPC, HOST:PORT
  pid_t pid() const { return pid_; }
  Usage usage() const;

 private:
  pid_t pid_ = -1;
  std::string address_;
};

}  // namespace mdgen::load
