#include "services/trainer/rank.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/comm/collective.h"
#include "core/data/manifest_file.h"
#include "core/train/failure.h"
#include "core/train/session.h"
#include "services/trainer/forming.h"

namespace mdgen::trainer {
namespace {

constexpr int kManifestAttempts = 60;
constexpr std::chrono::milliseconds kManifestPause{500};
constexpr std::chrono::milliseconds kFormingTimeout{10'000};
constexpr std::chrono::hours kForEver{24 * 365};

v1::Assignment with_manifest(v1::Assignment assignment) {
  if (!assignment.has_manifest())
    *assignment.mutable_manifest() = data::await_manifest(
        assignment.run_folder(), assignment.manifest_digest(), kManifestAttempts, kManifestPause,
        [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); });
  return assignment;
}

std::chrono::milliseconds forming_timeout(const v1::JobSpec& spec) {
  const double scale = spec.recovery().has_timeout_scale() ? spec.recovery().timeout_scale() : 1.0;
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(kFormingTimeout.count()) * std::max(scale, 0.1)));
}

class Rank {
 public:
  Rank(Agent& agent, const Clock& clock) : agent_(agent), clock_(clock), form_(agent) {}

  RankEnd live() {
    for (Order order = agent_.next(kForEver);;
         order = agent_.next(session_ ? session_->hold_time() : kForEver)) {
      if (order.gone) return {.report = {}, .status = 1, .gone = true};
      if (order.stop) return stopped(*order.stop);
      if (!order.assignment) return hold_expired();
      rank_ = order.assignment->rank();
      const auto finished = serve(*order.assignment, order.received);
      if (lease_expired_) return hold_expired();
      if (finished) return {.report = *finished, .status = 0};
    }
  }

  int rank() const { return rank_; }

 private:
  // Nothing: the generation was left.
  std::optional<v1::FinishReport> serve(const v1::Assignment& assignment, Clock::Steady received);
  train::SessionEnd train_in_group(const v1::Assignment& assignment, Clock::Steady received);
  RankEnd stopped(const v1::StopOrder& order);
  RankEnd hold_expired();
  v1::FinishReport ended(const v1::LeftReport& left);
  void wait(const v1::LeftReport& report);

  Agent& agent_;
  const Clock& clock_;
  Forming form_;
  std::unique_ptr<train::Session> session_;
  int rank_ = 0;
  bool lease_expired_ = false;
};

std::optional<v1::FinishReport> Rank::serve(const v1::Assignment& assignment, Clock::Steady received) {
  init_logging("rank " + std::to_string(assignment.rank()));
  // Its lines go to a file of its own, which must not stay empty because a launcher keeps the terminal calm.
  spdlog::set_level(std::min(spdlog::get_level(), spdlog::level::info));
  spdlog::info("one of {} of job {}, generation {}: {} with {} threads, process {}", assignment.world_size(),
               assignment.id().job_id(), assignment.id().generation(), assignment.device(),
               assignment.threads(), ::getpid());
  if (!session_) {
    const at::Device device(assignment.device());
    if (device.is_cuda()) comm::load_cuda();
    session_ = std::make_unique<train::Session>(with_manifest(assignment), device, agent_.observer(),
                                                agent_.control(), clock_);
  }
  const train::SessionEnd end = train_in_group(assignment, received);
  if (end.finished || lease_expired_) return end.finished;
  if (assignment.spec().backend() == "mpi") return ended(end.left);
  wait(end.left);
  return std::nullopt;
}

train::SessionEnd Rank::train_in_group(const v1::Assignment& assignment, Clock::Steady received) {
  agent_.observer().phase(v1::TRAINER_PHASE_INIT, session_->applied(), false);
  try {
    const std::unique_ptr<comm::Collective> group =
        form_(assignment, {.rank = assignment.rank(),
                           .world_size = assignment.world_size(),
                           .bind_address = assignment.bind_address(),
                           .forming_timeout = forming_timeout(assignment.spec()),
                           .device = at::Device(assignment.device()),
                           .cancelled = [this] { return agent_.control().abandoned.load(); },
                           .backend = assignment.spec().backend()});
    const double seconds = std::chrono::duration<double>(clock_.steady() - received).count();
    const Breaker breaker(agent_, [&group](const std::string& reason) { group->abort(reason); });
    return session_->run(assignment, *group, seconds);
  } catch (const comm::CollectiveError& error) {
    const bool ordered = agent_.control().abandoned;
    const bool aborted = error.code() == ErrorCode::kAborted;
    const char* reason = ordered ? "Abandoned" : aborted ? "CollectiveAborted" : "CollectiveFailed";
    return {.finished = std::nullopt, .left = session_->left(reason, error.what())};
  } catch (const train::RunFailure& failure) {
    if (failure.reason() != "LeaseExpired") throw;
    lease_expired_ = true;
    return {};
  }
}

// MPI starts once in a process, so that this one can join no other group.
v1::FinishReport Rank::ended(const v1::LeftReport& left) {
  if (!left.agreed()) throw train::RunFailure(ErrorCode::kUnavailable, left.reason(), left.message());
  if (rank_ == 0 && !left.checkpointed()) session_->save();
  v1::FinishReport report;
  report.set_outcome(v1::OUTCOME_STOPPED);
  report.set_steps_applied(left.applied());
  return report;
}

void Rank::wait(const v1::LeftReport& report) {
  const std::string held =
      report.resident() ? "holding step " + std::to_string(report.applied()) : std::string("holding nothing");
  spdlog::info("left the generation{}, {}{}", report.agreed() ? " as all agreed" : "", held,
               report.message().empty() ? "" : ": " + report.reason() + ": " + report.message());
  agent_.observer().phase(v1::TRAINER_PHASE_WAIT, report.applied(), false);
  v1::LeftReport told = report;
  told.set_message(to_utf8(report.message()));
  agent_.left(told);
}

RankEnd Rank::stopped(const v1::StopOrder& order) {
  v1::FinishReport report;
  report.set_outcome(v1::OUTCOME_STOPPED);
  if (session_) {
    report.set_steps_applied(session_->applied());
    if (order.checkpoint()) session_->save();
  }
  return {.report = report, .status = 0};
}

RankEnd Rank::hold_expired() {
  RankEnd end = stopped({});
  // In a generation whose lease has ended all ranks hold the same: one writes it.
  const bool saved = (!lease_expired_ || rank_ == 0) && session_->save();
  end.report.set_reason("HoldExpired");
  end.report.set_message("no assignment and no lease came for " +
                         std::to_string(session_->hold_time().count() / 1000) + " s" +
                         (saved ? "; the run folder has a checkpoint of what was held" : ""));
  end.status = kHoldExpired;
  spdlog::warn("{}", end.report.message());
  return end;
}

}  // namespace

RankEnd run_rank(Agent& agent, const Clock& clock) {
  Rank rank(agent, clock);
  try {
    return rank.live();
  } catch (const std::exception& error) {
    const train::FailureText failure = train::describe_failure(error);
    spdlog::error("{}: {}", failure.reason, failure.message);
    v1::FinishReport report;
    report.set_outcome(v1::OUTCOME_FAILED);
    report.set_reason(failure.reason);
    report.set_message("rank " + std::to_string(rank.rank()) + ": " + to_utf8(failure.message));
    return {.report = report, .status = 1};
  }
}

}  // namespace mdgen::trainer
