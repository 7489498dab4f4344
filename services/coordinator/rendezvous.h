// The bookkeeping of Exchange: every rank of a generation posts a blob under a key and gets all of them.
// Pure: a waiting call is a ticket, and what is to be answered is returned. Memory only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::coordinator {

using Ticket = std::uint64_t;

// One call to answer: all blobs by rank, or superseded with the reason (ABORTED).
struct ExchangeAnswer {
  Ticket ticket = 0;
  bool superseded = false;
  std::string message;
  // All answers of a rendezvous share one: an ExchangeResponse as it goes over the wire, serialised once.
  std::shared_ptr<const std::string> response;
};

class Rendezvous {
 public:
  // Opens the only generation of a job that may exchange; what waited in an older one is superseded.
  std::vector<ExchangeAnswer> open(const std::string& job_id, std::int64_t generation, int world_size);
  // Everything that waits in the job's generation is superseded.
  std::vector<ExchangeAnswer> close(const std::string& job_id);

  // A rank's post. A repetition by the same incarnation waits for, or gets, the same answer; its blob may not
  // change. Answers: empty while ranks are missing.
  std::vector<ExchangeAnswer> post(const v1::ExchangeRequest& request, Ticket ticket);
  // The caller of a waiting post has gone; its blob stays.
  void forget(Ticket ticket);

 private:
  struct Key {
    std::map<int, std::string> blobs;
    std::set<Ticket> waiting;
    std::shared_ptr<const std::string> response;  // once all have posted
  };
  struct Room {
    std::int64_t generation = 0;
    int world_size = 0;
    std::map<int, std::string> incarnations;
    std::map<std::string, Key> keys;
  };

  std::map<std::string, Room> rooms_;
};

}  // namespace mdgen::coordinator
