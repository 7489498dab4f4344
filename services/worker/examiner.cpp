#include "services/worker/examiner.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/portable.h"
#include "core/data/preflight.h"

namespace mdgen::worker {
namespace {

v1::PreflightReport report_of(const v1::PreflightTask& task) {
  v1::PreflightReport report;
  report.set_job_id(task.job_id());
  report.set_attempt(task.attempt());
  return report;
}

v1::PreflightReport failure(const v1::PreflightTask& task, const std::string& reason,
                            const std::string& message) {
  v1::PreflightReport report = report_of(task);
  report.mutable_failure()->set_reason(reason);
  report.mutable_failure()->set_message(to_utf8(message));
  return report;
}

}  // namespace

v1::Preflight examine(const v1::JobSpec& resolved, const ParallelProgress& progress) {
  checkpoint::check_start(resolved);
  return data::examine_data(resolved, {.progress = progress});
}

bool is_last(const v1::PreflightReport& report) { return report.has_failure() || report.part().last(); }

Examiner::~Examiner() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void Examiner::start(const v1::PreflightTask& task) {
  if (thread_.joinable()) thread_.join();
  stopping_ = false;
  thread_ = std::thread([this, task] { run(task); });
}

void Examiner::run(const v1::PreflightTask& task) {
  std::string found;
  try {
    found = work_(task.spec(), [&](std::size_t done, std::size_t total) {
              v1::PreflightReport report = report_of(task);
              report.mutable_progress()->set_examined(static_cast<std::int64_t>(done));
              report.mutable_progress()->set_total(static_cast<std::int64_t>(total));
              say_(std::move(report));
              return !stopping_;
            }).SerializeAsString();
  } catch (const Error& error) {
    return say_(failure(task, error_code_name(error.code()), error.what()));
  } catch (const std::exception& error) {
    return say_(failure(task, error_code_name(ErrorCode::kInternal), error.what()));
  }
  for (std::size_t at = 0;; at += kPartBytes) {
    v1::PreflightReport report = report_of(task);
    report.mutable_part()->set_bytes(found.substr(at, kPartBytes));
    report.mutable_part()->set_last(at + kPartBytes >= found.size());
    const bool last = report.part().last();
    say_(std::move(report));
    if (last) return;
  }
}

}  // namespace mdgen::worker
