// Which of rank 0's addresses the others use.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

namespace mdgen::launcher {

// HOST:PORT for each address of this host that others may reach: interfaces that are up, no loopback, no
// link-local. Empty when there is none.
std::vector<std::string> reachable_addresses(const std::string& port);

// The first of these that accepts a connection: all are tried at once, and again while there is time. Throws
// Error(kUnavailable) that names them when none does in time.
std::string race_to_connect(std::span<const std::string> addresses, std::chrono::milliseconds timeout);

}  // namespace mdgen::launcher
