// Checkpoints beside training: the step waits for a copy only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/checkpoint/retention.h"
#include "core/checkpoint/train_state.h"

namespace mdgen::checkpoint {

// What became of one write().
struct WriteResult {
  std::int64_t step = 0;
  std::filesystem::path folder;  // empty: it failed
  std::string problem;           // why; names folder, bytes needed and bytes free
  double blocked_seconds = 0;    // of the caller, waiting for an earlier checkpoint included
  double persist_seconds = 0;    // from the copy to the last byte read back
  std::int64_t bytes_needed = 0;
  std::int64_t bytes_free = -1;  // when it was over; -1: unknown
  std::optional<double> val_loss;
};

// Publishes snapshots from a thread of its own: one in flight; a second request waits for the first. Before
// writing it looks whether the disk has room, and makes some by the policy; after publishing it reads the
// folder back, compares every digest and applies the policy. A checkpoint that fails is told through `done`
// and by flush(); training may go on. It may outlive a generation.
//
// prepare, write, flush, in_flight, retry and enter_generation come from one thread; `done` is called on the
// writer's.
class BackgroundWriter {
 public:
  struct Options {
    std::filesystem::path checkpoints;
    std::int64_t generation = 1;
    Policy policy;
    std::function<void(std::int64_t step)> before_write{};  // on the writer's thread; a test's slow disk
  };
  // Asked again and again, holding nothing, while its caller waits; what it throws ends the wait and nothing
  // else: the checkpoint in flight goes on.
  using Interrupt = std::function<void()>;
  using Done = std::function<void(const WriteResult& result)>;

  BackgroundWriter(Options options, Done done);
  ~BackgroundWriter();  // waits for the one in flight

  // Allocates and touches the buffers for snapshots of this look, and removes what dead writers left behind,
  // on the writer's thread; returns at once, and does nothing while a checkpoint is in flight. Reads no
  // value.
  void prepare(const TrainState& like);
  // Copies `live` and returns; the files are written in the background, named after the generation that this
  // process is in now.
  void write(const TrainState& live, const Interrupt& interrupt = {});
  // Waits until nothing is in flight. Throws Error when the last write() failed, every time until one
  // succeeds.
  void flush(const Interrupt& interrupt = {});
  // The step of the checkpoint in flight.
  std::optional<std::int64_t> in_flight() const;
  // Writes the last snapshot once more, in the background, when it has failed.
  void retry();
  // What is written from now on is `generation`'s. Whoever is not its rank 0 deletes nothing: `deletes` is
  // false.
  void enter_generation(std::int64_t generation, bool deletes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::checkpoint
