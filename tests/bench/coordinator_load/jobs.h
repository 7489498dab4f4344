// The jobs of a load, over the coordinator's public service.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "mdgen/v1/job_service.grpc.pb.h"
#include "tests/bench/coordinator_load/dataset.h"
#include "tests/bench/coordinator_load/options.h"

namespace mdgen::load {

// Blocking; every call throws Error when it fails.
class Jobs {
 public:
  Jobs(const std::string& address, const LoadOptions& options) : options_(options) { open(address); }

  void submit(const Dataset& dataset);
  void cancel();
  std::vector<v1::Job> all();  // whole, transitions included
  // Every one of them is in `state` with so many restarts; throws at once when one has failed.
  bool are(v1::JobState state, int restarts);

 private:
  void open(const std::string& address);
  v1::JobSpec spec(const Dataset& dataset, int number) const;

  const LoadOptions& options_;
  std::unique_ptr<v1::JobService::Stub> stub_;
  std::vector<std::string> ids_;
};

}  // namespace mdgen::load
