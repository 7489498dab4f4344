// SIGINT and SIGTERM end the program at once, but not while files of a sample are being written.
#pragma once

namespace mdgen::sample {

// Call once, first thing in main.
void install_stop_handlers();

// While one lives a stop waits for its end.
class Unstoppable {
 public:
  Unstoppable();
  ~Unstoppable();
  Unstoppable(const Unstoppable&) = delete;
  Unstoppable& operator=(const Unstoppable&) = delete;
};

}  // namespace mdgen::sample
