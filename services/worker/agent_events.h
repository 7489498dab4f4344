// What the agent's core is told and what it wants done. Value types.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "mdgen/v1/trainer_service.pb.h"
#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// --- What the core is told ---

enum class LinkLoss {
  kUnreachable,   // no coordinator there, or the connection broke
  kSlotTaken,     // another live agent holds the slot
  kSuperseded,    // the coordinator has given this incarnation up
  kRefused,       // trying again cannot help
  kIncompatible,  // likewise, nor starting this program again: its version does not fit
};
struct LinkDown {
  LinkLoss loss = LinkLoss::kUnreachable;
  std::string message;
};
struct Ordered {
  v1::CoordinatorMessage message;
};
struct TrainerSaid {
  v1::TrainerMessage message;
};
struct TrainerStreamEnded {};
struct TrainerExited {
  v1::ProcessExit exit;
};
struct SpawnFailed {
  std::string message;
};
struct ExaminerSaid {
  v1::PreflightReport report;
};
// The agent is to leave: after its trainer has checkpointed and left, or at once. A second one always means
// at once.
struct StopRequested {
  std::string reason;
  bool at_once = false;
};
struct Tick {};
using Event = std::variant<Tick, LinkDown, Ordered, TrainerSaid, TrainerStreamEnded, TrainerExited,
                           SpawnFailed, ExaminerSaid, StopRequested>;

// --- What the core wants done, in this order ---

struct OpenLink {
  std::vector<v1::GenerationId> running;
  bool new_incarnation = false;
};
struct AbandonLink {};  // LinkDown follows
// Every connection to the coordinator is broken, the trainer's rendezvous among them, and none is made before
// the next OpenLink; LinkDown follows.
struct CutLink {};
struct LinkUp {  // what waits for the coordinator may be sent
  std::string worker_id;
  bool first = false;
};
struct Send {
  v1::AgentMessage message;
};
struct Spawn {
  v1::Assignment assignment;
};
struct Tell {
  v1::AgentOrder order;
};
struct KillTrainer {};
struct SignalTrainer {  // an injected fault: what follows from it counts as the trainer's own end
  int signal = 0;
};
struct CorruptCheckpoint {  // the newest below the run folder
  std::filesystem::path run_folder;
};
struct Examine {
  v1::PreflightTask task;
};
struct StopExamination {};  // its last report follows
struct Leave {
  int status = 0;
};
using Action = std::variant<OpenLink, AbandonLink, CutLink, LinkUp, Send, Spawn, Tell, KillTrainer,
                            SignalTrainer, CorruptCheckpoint, Examine, StopExamination, Leave>;

}  // namespace mdgen::worker
