#pragma once

#include <stdexcept>

namespace mdgen::client {

// The command line, the configuration or the spec is wrong; nothing was sent.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mdgen::client
