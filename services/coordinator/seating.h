// Who gets which rank in the next generation: a pure function.
#pragma once

#include <string>
#include <vector>

#include "services/coordinator/generation.h"

namespace mdgen::coordinator {

struct Seat {
  std::string worker;
  bool stays = false;  // a survivor that keeps its rank, and so its attempt and its log
};

// By rank. Of the survivors of `old` (null: there is none) the lowest ranks stay, `most` at most; they keep
// their ranks where the new world size allows. A newcomer whose worker had a vacant rank gets it back;
// survivors of ranks that are no more take the lowest vacant ones, the other newcomers what is left.
std::vector<Seat> seat(const Generation* old, const std::vector<std::string>& newcomers, int most);

}  // namespace mdgen::coordinator
