// Real trainers under agents made for tests, with the coordinator's part in a recovery: a generation after
// the other, a rendezvous, and orders.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/fake_agent.h"

namespace mdgen::testing {

// The Exchange RPC of every generation. Thread-safe.
class Rendezvous {
 public:
  explicit Rendezvous(int world_size) : world_size_(world_size) {}

  grpc::Status exchange(const v1::ExchangeRequest& request, v1::ExchangeResponse& response,
                        const std::function<bool()>& cancelled);
  // Generations before this one are superseded; so many ranks come to it.
  void open(std::int64_t generation, int world_size);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int world_size_;
  std::int64_t generation_ = 1;
  std::map<std::string, std::map<int, std::string>> rounds_;  // of the generation
};

// The ranks of one job. Its functions are called by one thread.
class Fleet {
 public:
  // `base` is rank 0's assignment of generation 1; logs go to `logs`.
  Fleet(std::string trainer, v1::Assignment base, std::filesystem::path logs);
  ~Fleet();

  int size() const { return static_cast<int>(members_.size()); }
  FakeAgent& operator[](int rank) { return *members_.at(static_cast<std::size_t>(rank)).agent; }
  v1::Assignment assignment(int rank) const;
  std::int64_t generation() const { return generation_; }
  std::string log(int rank) const;

  // Generation 1: starts all trainers.
  void start();
  // Orders the generation's survivors to leave it and waits until they have. `gone`: ranks that are dead or
  // are killed first. Returns the survivors' reports by rank.
  std::map<int, v1::LeftReport> abandon(const std::vector<int>& gone);
  // The next generation: these ranks of the last one stay (with their place in the list as the new rank),
  // -1 is a new process.
  void reform(const std::vector<int>& ranks);
  // abandon, then reform with new processes in the places of those that are gone.
  void replace(const std::vector<int>& gone);
  // The last word of each rank; false when one does not come.
  bool wait_for_finish();

 private:
  struct Member {
    std::unique_ptr<FakeAgent> agent;
    int attempt = 1;
    std::filesystem::path log;
  };
  Member start_rank(int rank, int attempt);

  std::string trainer_;
  v1::Assignment base_;
  std::filesystem::path logs_;
  std::int64_t generation_ = 1;
  Rendezvous rendezvous_;
  std::vector<Member> members_;
  std::vector<int> attempts_;  // by rank
};

}  // namespace mdgen::testing
