// The four things that a model can be asked for, for one protein or a few at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/data/split.h"
#include "core/sample/program/session.h"

namespace mdgen::sample {

struct Outcome {
  std::string name;
  enum class State { kDone, kSkipped, kFailed } state = State::kDone;
  std::int64_t samples = 0;  // of this run
  std::int64_t frames = 0;   // in each
  std::string problem = {};
};
// Told how much of the task at hand is done, 0 … 1.
using Report = std::function<void(double)>;

// Forward simulation of proteins of one length, in step. Block k + 1 starts from the last frame of block k;
// its own first frame, which shows that one again, is left out unless `reference_compat` is set. So n blocks
// of T frames give T + (n - 1) (T - 1) frames. Every protein has an outcome; nothing is thrown.
std::vector<Outcome> simulate(Session& session, const std::vector<data::SplitRow>& group,
                              const Report& report);

// num_batches x batch_size samples {name}_{i} of one protein, from its endpoints (tps) or windows (design).
// Throws what goes wrong.
Outcome sample_paths(Session& session, const data::SplitRow& row, const Report& report);

// One protein's whole array as key frames: blocks of floor(num_frames / cond_interval) of them, the last
// block shorter; frames x cond_interval frames in all. Throws what goes wrong.
Outcome upsample(Session& session, const data::SplitRow& row, const Report& report);

}  // namespace mdgen::sample
