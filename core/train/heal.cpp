#include "core/train/heal.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/base/text.h"
#include "core/ledger/json.h"
#include "core/train/agreement.h"
#include "core/train/failure.h"
#include "core/train/state_image.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

Holding holding_of(const Resident& resident) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const bool whole = resident.is_resident();
  return {.resident = whole,
          .generation = resident.generation,
          .applied = resident.applied(),
          .boundary = resident.loop.boundary,
          .digest = whole ? resident.state.digest() : "",
          .spec_digest = resident.spec_digest,
          .plan_digest = resident.plan_digest,
          .host = host.data()};
}

std::string to_text(const Holding& holding) {
  return json{holding.resident, holding.generation,  holding.applied,     holding.boundary,
              holding.digest,   holding.spec_digest, holding.plan_digest, holding.host}
      .dump();
}

Holding holding_from(const std::string& text) {
  const json fields = json::parse(text);
  return {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7]};
}

void require_one_run(const std::vector<Holding>& all) {
  std::vector<std::string> others;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank].spec_digest == all[0].spec_digest && all[rank].plan_digest == all[0].plan_digest) continue;
    others.push_back(std::to_string(rank) + " (" + all[rank].host + ")");
  }
  if (others.empty()) return;
  throw RunFailure(ErrorCode::kFailedPrecondition, "SpecMismatch",
                   "spec or plan differ from rank 0's on rank " + join(others, ", "));
}

// All but the tensors.
std::string luggage_of(Resident& resident, const StateLayout& layout, const std::string& digest) {
  const std::string log = resident.log.to_bytes();
  const checkpoint::TrainState state = resident.train_state();
  const json object{{"step", state.summary.step},
                    {"epoch", state.summary.epoch},
                    {"samples", state.summary.samples},
                    {"loop", state.loop_json},
                    {"ledger", state.ledger_json},
                    {"log", json::binary({log.begin(), log.end()})},
                    {"checkpointed", resident.checkpointed},
                    {"generation", resident.generation},
                    {"digest", digest},
                    {"layout", to_json(layout)}};
  std::string bytes;
  json::to_cbor(object, bytes);
  return bytes;
}

void unpack(const json& luggage, Resident& resident) {
  const auto& log = luggage.at("log").get_binary();
  resident.log = StepLog::from_bytes({log.begin(), log.end()});
  resident.loop = loop_state_from_json(luggage.at("loop"));
  resident.chain = ledger::Chain(ledger::from_json(luggage.at("ledger")), luggage.at("step"));
  resident.checkpointed = luggage.at("checkpointed");
}

// Throws on every rank alike when one of them has not what was sent.
void require_received(comm::Collective& collective, at::Device device, const std::string& got,
                      const std::string& sent) {
  std::vector<std::string> wrong;
  const std::vector<std::string> all = gather_texts(collective, device, got);
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank] != sent) wrong.push_back(std::to_string(rank) + " (" + all[rank] + ")");
  }
  if (wrong.empty()) return;
  throw comm::CollectiveError(ErrorCode::kUnavailable, "healing: the state that was sent has the digest " +
                                                           sent + ", but not on rank " + join(wrong, ", "));
}

void transfer(Resident& resident, comm::Collective& collective, const HealChoice& choice,
              const std::string& digest, FaultPoints& faults) {
  const bool sends = collective.rank() == choice.source;
  const bool receives =
      std::find(choice.heals.begin(), choice.heals.end(), collective.rank()) != choice.heals.end();
  checkpoint::TrainState live;
  std::string packed;
  if (sends) {
    live = resident.state.live();
    packed = luggage_of(resident, layout_of(live), digest);
    faults.reach(FaultPoint::kHealSend, resident.applied() + 1);
  }
  packed = broadcast_text(collective, resident.device, packed, choice.source);
  const json luggage = json::from_cbor(packed);
  const std::int64_t step = luggage.at("step");
  checkpoint::TrainState received;
  if (!choice.heals.empty()) {
    received = broadcast_tensors(collective, resident.device, choice.source, receives,
                                 state_layout_from_json(luggage.at("layout")), live);
  }
  received.summary.step = step;
  received.summary.epoch = luggage.at("epoch");
  received.summary.samples = luggage.at("samples");
  if (receives) faults.reach(FaultPoint::kHealReceive, step + 1);
  require_received(collective, resident.device, receives ? state_digest(received) : digest, digest);
  if (receives) {
    resident.touched = true;
    resident.state.restore(received);
    resident.stood = true;
    resident.deviates = false;
  }
  resident.generation = luggage.at("generation");
  if (!sends) unpack(luggage, resident);
}

}  // namespace

HealChoice choose_source(const std::vector<Holding>& holders) {
  const auto age = [](const Holding& holding) { return std::tuple(holding.generation, holding.applied); };
  const Holding* newest = nullptr;
  for (const Holding& holding : holders) {
    if (holding.resident && (newest == nullptr || age(holding) > age(*newest))) newest = &holding;
  }
  HealChoice choice;
  if (newest == nullptr) return choice;
  std::map<std::string, std::size_t> votes;
  std::size_t voters = 0;
  const auto is_newest = [&](const Holding& holding) {
    return holding.resident && age(holding) == age(*newest);
  };
  for (const Holding& holding : holders) {
    if (!is_newest(holding)) continue;
    ++votes[holding.digest];
    ++voters;
  }
  const auto right =
      std::find_if(votes.begin(), votes.end(), [&](const auto& vote) { return 2 * vote.second > voters; });
  for (std::size_t rank = 0; rank < holders.size(); ++rank) {
    const Holding& holding = holders[rank];
    const bool clean = right != votes.end() && is_newest(holding) && holding.digest == right->first;
    if (is_newest(holding) && !clean) choice.deviating.push_back(static_cast<int>(rank));
    if (!clean) {
      choice.heals.push_back(static_cast<int>(rank));
    } else if (choice.source < 0 ||
               holding.boundary > holders[static_cast<std::size_t>(choice.source)].boundary) {
      choice.source = static_cast<int>(rank);
    }
  }
  if (choice.source < 0) choice.heals.clear();
  return choice;
}

std::vector<Holding> gather_holdings(const Resident& resident, comm::Collective& collective) {
  std::vector<Holding> all;
  for (const std::string& text : gather_texts(collective, resident.device, to_text(holding_of(resident)))) {
    all.push_back(holding_from(text));
  }
  return all;
}

Healed heal(Resident& resident, comm::Collective& collective, FaultPoints& faults) {
  const std::vector<Holding> all = gather_holdings(resident, collective);
  require_one_run(all);
  const HealChoice choice = choose_source(all);
  Healed healed{.from_memory = choice.source >= 0,
                .source = choice.source,
                .healed = static_cast<int>(choice.heals.size()),
                .notes = {}};
  for (const int rank : choice.deviating) {
    const Holding& holding = all[static_cast<std::size_t>(rank)];
    healed.notes.push_back("ReplicaDiverged: the state of rank " + std::to_string(rank) + " (" +
                           holding.host + ") after step " + std::to_string(holding.applied) + " is " +
                           holding.digest +
                           (choice.source < 0 ? ", and no majority has the same"
                                              : ", rank " + std::to_string(choice.source) + "'s is " +
                                                    all[static_cast<std::size_t>(choice.source)].digest));
  }
  if (choice.source < 0) {
    resident.stood = false;
    return healed;
  }
  transfer(resident, collective, choice, all[static_cast<std::size_t>(choice.source)].digest, faults);
  return healed;
}

}  // namespace mdgen::train
