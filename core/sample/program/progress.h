// How far a run is and when it will end, as log lines. No LibTorch.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"

namespace mdgen::sample {

std::string duration_text(double seconds);  // "45 s", "3 min 20 s", "2 h 5 min"

class Progress {
 public:
  // `total` pieces of work; `clock` must outlive it.
  Progress(double total, const Clock& clock);

  // `done` pieces are done, parts of one included. The line to log, at most one in five seconds and at the
  // end: "3.5 of 12 proteins (29 %), 2 min 10 s left". The rate counts from the first call on.
  std::optional<std::string> report(double done);

 private:
  double total_;
  const Clock& clock_;
  Clock::Steady start_;
  Clock::Steady last_;
};

}  // namespace mdgen::sample
