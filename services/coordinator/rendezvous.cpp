#include "services/coordinator/rendezvous.h"

namespace mdgen::coordinator {
namespace {

std::vector<ExchangeAnswer> refuse(Ticket ticket, const std::string& message) {
  return {{ticket, true, "superseded: " + message, nullptr}};
}

}  // namespace

std::vector<ExchangeAnswer> Rendezvous::open(const std::string& job_id, std::int64_t generation,
                                             int world_size) {
  auto answers = close(job_id);
  rooms_[job_id] = Room{generation, world_size, {}, {}};
  return answers;
}

std::vector<ExchangeAnswer> Rendezvous::close(const std::string& job_id) {
  std::vector<ExchangeAnswer> answers;
  const auto room = rooms_.find(job_id);
  if (room == rooms_.end()) return answers;
  const std::string message = "superseded: generation " + std::to_string(room->second.generation) +
                              " of job " + job_id + " has ended";
  for (const auto& [name, key] : room->second.keys)
    for (const Ticket ticket : key.waiting) answers.push_back({ticket, true, message, nullptr});
  rooms_.erase(room);
  return answers;
}

std::vector<ExchangeAnswer> Rendezvous::post(const v1::ExchangeRequest& request, Ticket ticket) {
  const std::string job_id = request.id().job_id();
  const std::string generation = std::to_string(request.id().generation());
  const auto found = rooms_.find(job_id);
  if (found == rooms_.end() || found->second.generation != request.id().generation())
    return refuse(ticket, "generation " + generation + " of job " + job_id + " is not the current one");
  Room& room = found->second;
  const int rank = request.rank();
  if (rank < 0 || rank >= room.world_size)
    return refuse(ticket,
                  "generation " + generation + " of job " + job_id + " has no rank " + std::to_string(rank));
  const auto [holder, fresh] = room.incarnations.emplace(rank, request.incarnation());
  if (!fresh && holder->second != request.incarnation())
    return refuse(ticket, "rank " + std::to_string(rank) + " belongs to incarnation " + holder->second);

  Key& key = room.keys[request.key()];
  const auto [blob, first] = key.blobs.emplace(rank, request.blob());
  if (!first && blob->second != request.blob())
    return refuse(ticket, "rank " + std::to_string(rank) + " has posted another blob under " + request.key());
  key.waiting.insert(ticket);
  if (static_cast<int>(key.blobs.size()) < room.world_size) return {};

  if (!key.response) {
    v1::ExchangeResponse response;
    for (const auto& [unused, value] : key.blobs) response.add_blobs(value);
    key.response = std::make_shared<const std::string>(response.SerializeAsString());
  }
  std::vector<ExchangeAnswer> answers;
  for (const Ticket waiting : key.waiting) answers.push_back({waiting, false, "", key.response});
  key.waiting.clear();
  return answers;
}

void Rendezvous::forget(Ticket ticket) {
  for (auto& [job, room] : rooms_)
    for (auto& [name, key] : room.keys) key.waiting.erase(ticket);
}

}  // namespace mdgen::coordinator
