#include "services/client/follow.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "services/client/exit_code.h"

namespace mdgen::client {
namespace {

constexpr double kMostUpdatesASecond = 20;

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

class Follower {
 public:
  Follower(JobApi& api, std::string id, FollowView& view, const Patience& patience, const Surroundings& world)
      : api_(api),
        id_(std::move(id)),
        view_(view),
        patience_(patience),
        world_(world),
        connection_(world, patience, [&view](const std::string& text) { view.on_note(text); }) {}

  v1::Job to_end() {
    while (true) {
      connection_.run([&] { look(); });
      if (is_final(job_.state())) {
        view_.on_end(job_);
        return job_;
      }
      world_.sleep(patience_.interval);
    }
  }

 private:
  // The whole stream, or one answer where there is no stream.
  void look() {
    if (has_stream_) {
      try {
        watch_stream();
        return;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kUnimplemented) throw;
        has_stream_ = false;
      }
    }
    take(api_.get(id_));
  }

  void watch_stream() {
    v1::WatchJobRequest request;
    request.set_id(id_);
    const double seconds = std::chrono::duration<double>(patience_.interval).count();
    request.set_max_rate(std::min(kMostUpdatesASecond, 1 / std::max(seconds, 1e-3)));
    api_.watch(request, [&](const v1::Job& job) {
      take(job);
      return !is_final(job.state());
    });
    if (!is_final(job_.state()))
      throw Error(ErrorCode::kUnavailable, "the coordinator ended the stream of job " + id_);
  }

  void take(const v1::Job& job) {
    connection_.alive();
    job_ = job;
    id_ = job.id();  // from now on no other job of the same name
    for (int next = first_after(job_, told_); next < job_.transitions_size(); ++next) {
      told_ = job_.transitions(next);
      view_.on_transition(*told_);
    }
    view_.on_progress(job_);
  }

  JobApi& api_;
  std::string id_;
  FollowView& view_;
  Patience patience_;
  const Surroundings& world_;
  Reconnector connection_;
  v1::Job job_;
  std::optional<v1::Transition> told_;
  bool has_stream_ = true;
};

}  // namespace

v1::Job follow(JobApi& api, const std::string& id, FollowView& view, const Patience& patience,
               const Surroundings& world) {
  return Follower(api, id, view, patience, world).to_end();
}

}  // namespace mdgen::client
