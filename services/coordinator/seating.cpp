#include "services/coordinator/seating.h"

#include <utility>

namespace mdgen::coordinator {
namespace {

class Seats {
 public:
  explicit Seats(std::size_t world_size) : seats_(world_size) {}

  bool take(int rank, const std::string& worker, bool stays) {
    if (rank < 0 || rank >= static_cast<int>(seats_.size()) || !at(rank).worker.empty()) return false;
    at(rank) = Seat{worker, stays};
    return true;
  }
  void take_lowest(const std::string& worker) {
    while (!at(next_).worker.empty()) ++next_;
    at(next_) = Seat{worker, false};
  }
  std::vector<Seat> done() && { return std::move(seats_); }

 private:
  Seat& at(int rank) { return seats_[static_cast<std::size_t>(rank)]; }

  std::vector<Seat> seats_;
  int next_ = 0;
};

std::vector<const Member*> survivors_of(const Generation* old, int most) {
  std::vector<const Member*> survivors;
  if (old == nullptr) return survivors;
  for (const Member& member : old->members)
    if (member.usable() && static_cast<int>(survivors.size()) < most) survivors.push_back(&member);
  return survivors;
}

}  // namespace

std::vector<Seat> seat(const Generation* old, const std::vector<std::string>& newcomers, int most) {
  const std::vector<const Member*> survivors = survivors_of(old, most);
  Seats seats(survivors.size() + newcomers.size());
  std::vector<std::string> movers;
  for (const Member* member : survivors)
    if (!seats.take(member->rank, member->worker_id, true)) movers.push_back(member->worker_id);
  std::vector<std::string> others;
  for (const std::string& worker : newcomers) {
    const Member* before = old == nullptr ? nullptr : old->held_by(worker);
    if (before == nullptr || !seats.take(before->rank, worker, false)) others.push_back(worker);
  }
  for (const std::string& worker : movers) seats.take_lowest(worker);
  for (const std::string& worker : others) seats.take_lowest(worker);
  return std::move(seats).done();
}

}  // namespace mdgen::coordinator
