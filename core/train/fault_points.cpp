#include "core/train/fault_points.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "core/comm/collective.h"

namespace mdgen::train {
namespace {

void send_self(int signal) {
  spdlog::default_logger()->flush();
  // The handlers that a library may have set are not what is tested.
  if (signal == SIGSEGV) std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void fire(const TestFault& fault) {
  using Kind = TestFault::Kind;
  spdlog::error("MDGEN_TEST_FAULT: {}", to_text(fault));
  switch (fault.kind) {
    case Kind::kKill:
      return send_self(SIGKILL);
    case Kind::kSegfault:
      return send_self(SIGSEGV);
    case Kind::kStop:
      return send_self(SIGSTOP);
    case Kind::kHang:
      while (true) std::this_thread::sleep_for(std::chrono::hours(1));
    case Kind::kBreak:
      throw comm::CollectiveError(ErrorCode::kUnavailable, "MDGEN_TEST_FAULT: " + to_text(fault));
    default:
      return;
  }
}

}  // namespace

void FaultPoints::become(int rank, int attempt) {
  if (rank_ >= 0) return;
  rank_ = rank;
  attempt_ = attempt;
  fired_.resize(faults_.size(), false);
}

bool FaultPoints::take(std::size_t index, std::int64_t step) {
  const TestFault& fault = faults_[index];
  if (fault.step != step || fault.rank != rank_) return false;
  if (fault.always) return true;
  if (fired_[index] || fault.attempt != std::max(attempt_, 1)) return false;
  fired_[index] = true;
  return true;
}

void FaultPoints::reach(FaultPoint point, std::int64_t step) {
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    if (faults_[i].crashes() && faults_[i].point == point && take(i, step)) fire(faults_[i]);
  }
}

bool FaultPoints::flips(std::int64_t step) {
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    if (faults_[i].kind == TestFault::Kind::kFlipBit && take(i, step)) return true;
  }
  return false;
}

}  // namespace mdgen::train
