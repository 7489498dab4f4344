#include <google/protobuf/util/time_util.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <vector>

#include "services/budget/budget.h"
#include "services/client/exit_code.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;

class Facts {
 public:
  explicit Facts(const Look& look) : look_(look) {}

  void add(const std::string& name, const std::string& value, Tint tint = Tint::kNone) {
    if (value.empty()) return;
    text_ += fmt::format("{:<14}", name) + tinted(one_line(value), tint, look_) + "\n";
  }
  void add_time(const std::string& name, bool is_known, const google::protobuf::Timestamp& time,
                WallTime now) {
    if (is_known) add(name, when_text(time, now));
  }
  void add_raw(const std::string& line) { text_ += line + "\n"; }
  const std::string& text() const { return text_; }

 private:
  const Look& look_;
  std::string text_;
};

std::string loss_fact(const v1::Job& job) {
  if (!job.has_loss()) return "";
  std::string text = job.has_first_loss() ? fmt::format("{:.4g}->{:.4g}", job.first_loss(), job.loss())
                                          : fmt::format("{:.4g}", job.loss());
  if (job.has_grad_norm()) text += fmt::format(", gradient norm {:.3g}", job.grad_norm());
  if (job.has_lr()) text += fmt::format(", learning rate {:.3g}", job.lr());
  return text;
}

std::string queue_fact(const v1::Job& job, WallTime now) {
  if (!job.has_queue() || job.queue().position() <= 0) return "";
  const v1::QueueInfo& queue = job.queue();
  std::string text =
      fmt::format("position {}, {}", queue.position(), reason_text(queue.reason(), queue.message()));
  if (queue.has_since()) text += ", since " + duration_text(std::max(0.0, age_seconds(queue.since(), now)));
  return text;
}

// The newest one, shortly.
std::string recovery_fact(const v1::Job& job) {
  if (job.recoveries().empty()) return "";
  const v1::Recovery& last = job.recoveries(job.recoveries_size() - 1);
  const auto count = std::max<std::int64_t>(job.recovery_count(), job.recoveries_size());
  const std::string how =
      last.complete() ? fmt::format("in {:.2f} s from {}", last.total_seconds(), last.source()) : "under way";
  return fmt::format("{}, the last {}: {}", count, how, reason_text(last.reason(), last.message()));
}

std::string speed_fact(const v1::Job& job) {
  std::vector<std::string> parts;
  if (job.step_seconds() > 0) parts.push_back(fmt::format("{:.3g} s a step", job.step_seconds()));
  if (job.samples_per_second() > 0)
    parts.push_back(fmt::format("{:.3g} samples/s", job.samples_per_second()));
  if (job.flops_per_second() > 0) parts.push_back(fmt::format("{:.3g} FLOP/s", job.flops_per_second()));
  if (job.ceiling_ratio() > 0) parts.push_back(ceiling_text(job));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string stragglers_fact(const v1::Job& job) {
  std::vector<std::string> words;
  for (const v1::RankInfo& rank : job.ranks()) {
    if (rank.straggler())
      words.push_back(fmt::format("rank {} on {} takes {:.2f} times the median", rank.rank(), rank.host(),
                                  rank.slowness()));
  }
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string attempt_fact(const v1::Job& job) {
  if (job.attempt() <= 1) return "";
  return fmt::format("{}{}", job.attempt(), job.retry_of().empty() ? "" : ", a retry of " + job.retry_of());
}

void add_course(Facts& facts, const v1::Job& job) {
  facts.add("loss", loss_fact(job));
  facts.add("speed", speed_fact(job));
  facts.add("step", shares_text(job.step_times()));
  facts.add("spent", budget_text(job));
  facts.add("stragglers", stragglers_fact(job), Tint::kWarn);
  facts.add("workers", std::to_string(job.workers()));
  facts.add("restarts", std::to_string(job.restarts()));
  facts.add("recoveries", recovery_fact(job));
  if (job.goodput_ratio() > 0) facts.add("goodput", fmt::format("{:.1f}%", 100 * job.goodput_ratio()));
  if (job.lost_steps() > 0) facts.add("lost steps", std::to_string(job.lost_steps()));
  if (job.bad_samples() > 0) facts.add("bad samples", std::to_string(job.bad_samples()), Tint::kWarn);
}

void add_times(Facts& facts, const v1::Job& job, WallTime now) {
  facts.add_time("created", job.has_created_at(), job.created_at(), now);
  facts.add_time("started", job.has_started_at(), job.started_at(), now);
  facts.add_time("last step", job.has_last_step_at() && !is_final(job.state()), job.last_step_at(), now);
  facts.add_time("ended", job.has_ended_at(), job.ended_at(), now);
  facts.add_time("deadline", job.has_deadline(), job.deadline(), now);
}

}  // namespace

std::string status_text(const v1::Job& job, WallTime now, const Look& look) {
  Facts facts(look);
  facts.add("job", job.id());
  facts.add("name", job.name());
  facts.add("owner", job.owner());
  facts.add("labels", labels_text(job.labels()));
  facts.add("attempt", attempt_fact(job));
  facts.add("state", state_name(job.state()), tint_of(job.state()));
  facts.add("reason", reason_text(job.reason(), job.message()));
  facts.add("queue", queue_fact(job, now), Tint::kWarn);
  facts.add("progress", progress_text(job));
  add_course(facts, job);
  facts.add("checkpoint", job.checkpoint());
  facts.add("data digest", job.manifest_digest());
  facts.add("run folder", job.run_folder());
  add_times(facts, job, now);
  for (const std::string& warning : job.warnings()) facts.add("warning", warning, Tint::kWarn);
  for (const v1::Transition& transition : job.transitions()) {
    facts.add_raw(fmt::format("{:<14}", "  " + TimeUtil::ToString(transition.at()).substr(0, 10)) +
                  transition_text(transition, look));
  }
  return facts.text();
}

}  // namespace mdgen::client
