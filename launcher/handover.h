// What rank 0 tells the other ranks: where its coordinator listens, and how to get in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/access/access.h"

namespace mdgen::launcher {

struct Handover {
  std::vector<std::string> addresses;  // HOST:PORT; empty: there is no run, for its spec was refused
  access::Access access;
};

// One line of text, to be kept from others.
std::string to_text(const Handover& handover);

// Throws Error(kDataLoss), without the text in it, when it is not to_text's.
Handover handover_from_text(const std::string& text);

}  // namespace mdgen::launcher
