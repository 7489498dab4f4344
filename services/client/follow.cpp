#include "services/client/follow.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "services/client/exit_code.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{250};
constexpr milliseconds kLongestPause{5000};

double seconds(Clock::Steady::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void with_reconnect(const Surroundings& world, const Patience& patience, Clock::Steady& contact,
                    const std::function<void()>& attempt,
                    const std::function<void(const std::string&)>& note) {
  bool is_away = false;
  Clock::Steady lost_at = contact;
  milliseconds pause = kFirstPause;
  while (true) {
    try {
      attempt();
      if (is_away) note("connected again");
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnavailable) throw;
      const auto waited = world.clock.steady() - contact;
      if (patience.reconnect_for == milliseconds(0)) throw;
      if (waited >= patience.reconnect_for) {
        throw Error(ErrorCode::kUnavailable,
                    fmt::format("connection lost for {}: {}", duration_text(seconds(waited)), error.what()));
      }
      if (!is_away || contact != lost_at) {
        note(fmt::format("{}; trying again for {}", one_line(error.what()),
                         duration_text(seconds(patience.reconnect_for))));
        pause = kFirstPause;
      }
      is_away = true;
      lost_at = contact;
    }
    world.sleep(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

namespace {

// Of a long list older ones are left out, and a cause may be corrected: neither is told again.
int first_after(const v1::Job& job, const std::optional<v1::Transition>& told) {
  if (!told) return 0;
  int next = job.transitions_size();
  for (; next > 1; --next) {
    const v1::Transition& known = job.transitions(next - 1);
    if (known.state() == told->state() && known.at().seconds() == told->at().seconds() &&
        known.at().nanos() == told->at().nanos())
      break;
  }
  return next;
}

}  // namespace

v1::Job follow(JobApi& api, const std::string& id, FollowView& view, const Patience& patience,
               const Surroundings& world) {
  v1::Job job = api.get(id);
  Clock::Steady contact = world.clock.steady();
  std::optional<v1::Transition> told;
  while (true) {
    for (int next = first_after(job, told); next < job.transitions_size(); ++next) {
      told = job.transitions(next);
      view.on_transition(*told);
    }
    view.on_progress(job);
    if (is_final(job.state())) {
      view.on_end(job);
      return job;
    }
    world.sleep(patience.interval);
    const auto look = [&] { job = api.get(job.id()); };
    with_reconnect(world, patience, contact, look, [&](const std::string& text) { view.on_note(text); });
    contact = world.clock.steady();
  }
}

}  // namespace mdgen::client
