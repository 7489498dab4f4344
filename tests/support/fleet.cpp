#include "tests/support/fleet.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace mdgen::testing {

grpc::Status Rendezvous::exchange(const v1::ExchangeRequest& request, v1::ExchangeResponse& response,
                                  const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_);
  const std::int64_t generation = request.id().generation();
  const auto superseded = [&] { return generation_ != generation; };
  if (superseded()) return {grpc::StatusCode::ABORTED, "superseded"};
  std::map<int, std::string>& posted = rounds_[request.key()];
  posted[request.rank()] = request.blob();
  changed_.notify_all();
  const auto all = [&] { return superseded() || static_cast<int>(posted.size()) == world_size_; };
  // gRPC's synchronous server tells of a cancellation only when asked.
  while (!changed_.wait_for(lock, std::chrono::milliseconds(20), all)) {
    if (cancelled()) return grpc::Status::CANCELLED;
  }
  if (superseded()) return {grpc::StatusCode::ABORTED, "superseded"};
  for (const auto& [rank, blob] : posted) response.add_blobs(blob);
  return grpc::Status::OK;
}

void Rendezvous::open(std::int64_t generation, int world_size) {
  const std::lock_guard lock(mutex_);
  generation_ = generation;
  world_size_ = world_size;
  rounds_.clear();
  changed_.notify_all();
}

Fleet::Fleet(std::string trainer, v1::Assignment base, std::filesystem::path logs)
    : trainer_(std::move(trainer)),
      base_(std::move(base)),
      logs_(std::move(logs)),
      rendezvous_(base_.world_size()),
      attempts_(static_cast<std::size_t>(base_.world_size()), 0) {}

Fleet::~Fleet() { rendezvous_.open(-1, 0); }

v1::Assignment Fleet::assignment(int rank) const {
  v1::Assignment assignment = base_;
  assignment.set_rank(rank);
  assignment.set_attempt(members_.size() > static_cast<std::size_t>(rank)
                             ? members_[static_cast<std::size_t>(rank)].attempt
                             : 1);
  return assignment;
}

std::string Fleet::log(int rank) const {
  std::ifstream file(members_.at(static_cast<std::size_t>(rank)).log);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Fleet::Member Fleet::start_rank(int rank, int attempt) {
  v1::Assignment assignment = base_;
  assignment.set_rank(rank);
  assignment.set_attempt(attempt);
  const std::filesystem::path log =
      logs_ / ("rank-" + std::to_string(rank) + "-" + std::to_string(attempt) + ".log");
  return {
      std::make_unique<FakeAgent>(trainer_, assignment, log.string(), std::nullopt,
                                  [this](const v1::ExchangeRequest& request, v1::ExchangeResponse& response,
                                         const std::function<bool()>& cancelled) {
                                    return rendezvous_.exchange(request, response, cancelled);
                                  }),
      attempt, log};
}

void Fleet::start() {
  for (int rank = 0; rank < base_.world_size(); ++rank) members_.push_back(start_rank(rank, 1));
  attempts_.assign(members_.size(), 1);
}

std::map<int, v1::LeftReport> Fleet::abandon(const std::vector<int>& gone) {
  const auto is_gone = [&](int rank) { return std::find(gone.begin(), gone.end(), rank) != gone.end(); };
  for (const int rank : gone) (*this)[rank].signal(SIGKILL);
  v1::AgentOrder order;
  *order.mutable_abandon()->mutable_id() = base_.id();
  order.mutable_abandon()->set_reason("a rank was lost");
  for (int rank = 0; rank < size(); ++rank) {
    if (!is_gone(rank)) (*this)[rank].send(order);
  }
  std::map<int, v1::LeftReport> left;
  for (int rank = 0; rank < size(); ++rank) {
    if (is_gone(rank)) continue;
    const bool came = (*this)[rank].wait_for([&](const std::vector<v1::TrainerMessage>& messages) {
      for (const v1::TrainerMessage& message : messages) {
        if (message.has_left()) left[rank] = message.left();
      }
      return left.contains(rank);
    });
    if (!came) throw std::runtime_error("rank " + std::to_string(rank) + " does not leave:\n" + log(rank));
  }
  return left;
}

void Fleet::reform(const std::vector<int>& ranks) {
  ++generation_;
  base_.mutable_id()->set_generation(generation_);
  base_.set_world_size(static_cast<int>(ranks.size()));
  base_.mutable_plan()->set_world_size(base_.world_size());
  rendezvous_.open(generation_, base_.world_size());
  attempts_.resize(std::max(attempts_.size(), ranks.size()), 0);
  std::vector<Member> before = std::exchange(members_, {});
  for (int rank = 0; rank < base_.world_size(); ++rank) {
    const int earlier = ranks[static_cast<std::size_t>(rank)];
    if (earlier < 0) {
      members_.push_back(start_rank(rank, ++attempts_[static_cast<std::size_t>(rank)]));
      continue;
    }
    members_.push_back(std::move(before.at(static_cast<std::size_t>(earlier))));
    Member& member = members_.back();
    member.agent->forget();
    v1::AgentOrder order;
    *order.mutable_assignment() = base_;
    order.mutable_assignment()->set_rank(rank);
    order.mutable_assignment()->set_attempt(member.attempt);
    member.agent->send(order);
  }
}

void Fleet::replace(const std::vector<int>& gone) {
  abandon(gone);
  std::vector<int> ranks;
  for (int rank = 0; rank < size(); ++rank) {
    ranks.push_back(std::find(gone.begin(), gone.end(), rank) == gone.end() ? rank : -1);
  }
  reform(ranks);
}

bool Fleet::wait_for_finish() {
  bool all = true;
  for (int rank = 0; rank < size(); ++rank) {
    all = (*this)[rank].wait_for([](const std::vector<v1::TrainerMessage>& messages) {
      return std::any_of(messages.begin(), messages.end(),
                         [](const auto& message) { return message.has_finished(); });
    }) && all;
  }
  return all;
}

}  // namespace mdgen::testing
