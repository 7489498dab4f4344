// AgentCore: the data set that it examines.
#include <utility>

#include "core/base/log.h"
#include "services/worker/agent_core.h"
#include "services/worker/examiner.h"

namespace mdgen::worker {

// The examiner takes one at a time; one whose link was lost may still be ending.
void AgentCore::examine(const v1::PreflightTask& task) {
  if (examination_) {
    abandon_examination();
    next_examination_ = task;
    return;
  }
  spdlog::info("examining the data set of {}", task.job_id());
  examination_ = Examination{task};
  actions_.push_back(Examine{task});
}

void AgentCore::stop_examination(const v1::PreflightStop& stop) {
  const auto meant = [&](const v1::PreflightTask& task) {
    return task.job_id() == stop.job_id() && task.attempt() == stop.attempt();
  };
  if (next_examination_ && meant(*next_examination_)) {
    next_examination_.reset();
    v1::AgentMessage message;
    message.mutable_preflight()->set_job_id(stop.job_id());
    message.mutable_preflight()->set_attempt(stop.attempt());
    message.mutable_preflight()->mutable_failure()->set_reason("Aborted");
    actions_.push_back(Send{std::move(message)});
  } else if (examination_ && meant(examination_->task) && !std::exchange(examination_->stopped, true)) {
    actions_.push_back(StopExamination{});
  }
}

void AgentCore::abandon_examination() {
  next_examination_.reset();
  if (!examination_) return;
  examination_->abandoned = true;
  if (!std::exchange(examination_->stopped, true)) actions_.push_back(StopExamination{});
}

void AgentCore::on(const ExaminerSaid& event) {
  if (!examination_) return;
  if (!examination_->abandoned) {
    v1::AgentMessage message;
    *message.mutable_preflight() = event.report;
    actions_.push_back(Send{std::move(message)});
  }
  if (!is_last(event.report)) return;
  examination_.reset();
  if (next_examination_) examine(*std::exchange(next_examination_, std::nullopt));
}

}  // namespace mdgen::worker
