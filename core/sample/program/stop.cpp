#include "core/sample/program/stop.h"

#include <atomic>
#include <csignal>

namespace mdgen::sample {
namespace {

std::atomic<int> depth{0};
std::atomic<int> requested{0};

// Ends as a program without a handler would, so that whoever started it sees the signal.
void end_by(int number) {
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void on_signal(int number) {
  requested = number;
  if (depth == 0) end_by(number);
}

}  // namespace

void install_stop_handlers() {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, on_signal);
  std::signal(SIGPIPE, SIG_IGN);
}

Unstoppable::Unstoppable() { ++depth; }

Unstoppable::~Unstoppable() {
  if (--depth == 0 && requested != 0) end_by(requested);
}

}  // namespace mdgen::sample
