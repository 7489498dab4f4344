// What a simulated load looks like.
#pragma once

#include <chrono>
#include <filesystem>

namespace mdgen::load {

enum class Backend { kNccl, kGloo };

struct LoadOptions {
  int ranks = 64;
  int jobs = 8;                              // of ranks / jobs each
  std::chrono::milliseconds measure{20000};  // of the steady state
  std::chrono::milliseconds beat_interval{1000};
  std::chrono::milliseconds step_time{500};
  int arrivals = 500;         // agents that come a second, as launchers start them; 0: all at once
  int checkpoint_every = 20;  // steps
  Backend backend = Backend::kNccl;
  int restarts = 1;               // a trainer of each job crashes so often
  int entries = 1266;             // of the data set, three replicas each: those of atlas_train
  bool share_connection = false;  // all ranks over one TCP connection, where there are not sockets enough
  std::chrono::milliseconds patience{180000};  // for each phase's end
  std::filesystem::path coordinator;           // mdgen-coordinator
  std::filesystem::path folder;                // of data, store and run folders
};

}  // namespace mdgen::load
