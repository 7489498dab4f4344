#include "services/client/reconnect.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{250};
constexpr milliseconds kLongestPause{5000};

double seconds(Clock::Steady::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Reconnector::Reconnector(const Surroundings& world, const Patience& patience, Note note)
    : world_(world), patience_(patience), note_(std::move(note)), pause_(kFirstPause) {}

void Reconnector::alive() {
  if (away_since_) note_("connected again");
  away_since_.reset();
  pause_ = kFirstPause;
}

void Reconnector::wait_after(const std::string& failure) {
  const Clock::Steady now = world_.clock.steady();
  if (!away_since_) {
    away_since_ = now;
    note_(fmt::format("{}; trying again for {}", one_line(failure),
                      duration_text(seconds(patience_.reconnect_for))));
  }
  const auto waited = now - *away_since_;
  if (waited >= patience_.reconnect_for) {
    throw Error(ErrorCode::kUnavailable,
                fmt::format("connection lost for {}: {}", duration_text(seconds(waited)), failure));
  }
  world_.sleep(pause_);
  pause_ = std::min(2 * pause_, kLongestPause);
}

void Reconnector::run(const std::function<void()>& attempt) {
  while (true) {
    std::string failure;
    try {
      attempt();
      alive();
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnavailable || patience_.reconnect_for == milliseconds(0)) throw;
      failure = error.what();
    }
    wait_after(failure);
  }
}

}  // namespace mdgen::client
