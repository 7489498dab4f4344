#include "services/coordinator/metrics_gauges.h"

#include <initializer_list>
#include <string>
#include <utility>

namespace mdgen::coordinator {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using Labels = std::vector<ClientMetric::Label>;

class Gauge {
 public:
  Gauge(std::vector<MetricFamily>& families, const char* name, const char* help)
      : family_(families.emplace_back()) {
    family_.name = name;
    family_.help = help;
    family_.type = prometheus::MetricType::Gauge;
  }
  void set(Labels labels, double value) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    metric.gauge.value = value;
  }

 private:
  MetricFamily& family_;
};

struct JobGauge {
  const char* name;
  const char* help;
  std::optional<double> (*value)(const MetricsView::Job&);
};

using View = MetricsView::Job;

constexpr JobGauge kJobGauges[] = {
    {"mdgen_train_loss", "Training loss of the last committed step.",
     [](const View& job) { return job.loss; }},
    {"mdgen_val_loss", "Loss of the last validation.", [](const View& job) { return job.val_loss; }},
    {"mdgen_last_step_timestamp_seconds", "When the last committed step was reported.",
     [](const View& job) { return job.last_step_at; }},
    {"mdgen_step", "Committed steps.", [](const View& job) { return std::optional(job.step); }},
    {"mdgen_steps_planned", "Steps that the job is to do in all.",
     [](const View& job) { return std::optional(job.total_steps); }},
    {"mdgen_epoch", "Epoch of the last committed step.",
     [](const View& job) { return std::optional(job.epoch); }},
    {"mdgen_eta_seconds", "Time that is left at the present pace.",
     [](const View& job) { return std::optional(job.eta_seconds); }},
    {"mdgen_tokens_per_second", "Residues x frames a second, over the last steps; 0 without trainers.",
     [](const View& job) { return std::optional(job.tokens_per_second); }},
    {"mdgen_samples_per_second", "Samples a second, over the last steps; 0 without trainers.",
     [](const View& job) { return std::optional(job.samples_per_second); }},
    {"mdgen_flops_per_second",
     "Floating-point operations a second of all ranks, over the last steps; 0: unknown.",
     [](const View& job) { return std::optional(job.flops_per_second); }},
    {"mdgen_ceiling_ratio",
     "Floating-point operations a second over what the ranks' devices reach in matrix products; 0: unknown.",
     [](const View& job) { return std::optional(job.ceiling_ratio); }},
    {"mdgen_goodput_ratio", "Part of the time with workers that went into steps that count.",
     [](const View& job) { return std::optional(job.goodput_ratio); }},
    {"mdgen_job_workers", "World size of the job's generation; 0 without one.",
     [](const View& job) { return std::optional(job.workers); }},
};

void add_pool(const MetricsView& view, std::vector<MetricFamily>& families) {
  Gauge jobs(families, "mdgen_jobs", "Jobs by state.");
  for (const auto& [state, count] : view.jobs_by_state) jobs.set({{"state", state}}, count);
  Gauge(families, "mdgen_queue_length", "Jobs that wait for workers.").set({}, view.queued);
  Gauge workers(families, "mdgen_workers", "Connected agents by state.");
  for (const auto& [state, count] : view.workers_by_state) workers.set({{"state", state}}, count);
  Gauge(families, "mdgen_store_failing", "1 while the store cannot be written.")
      .set({}, view.store_fails ? 1 : 0);
}

void add_workers(const MetricsView& view, std::vector<MetricFamily>& families) {
  if (view.workers.empty()) return;
  {
    Gauge ages(families, "mdgen_worker_heartbeat_age_seconds", "Time since the agent's last beat.");
    for (const auto& worker : view.workers) ages.set({{"worker", worker.id}}, worker.beat_age_seconds);
  }
  Gauge infos(families, "mdgen_worker_info", "1; its labels say where an agent is.");
  for (const auto& worker : view.workers)
    infos.set({{"worker", worker.id}, {"host", worker.host}, {"device", worker.device}}, 1);
}

void add_jobs(const MetricsView& view, std::vector<MetricFamily>& families) {
  if (view.jobs.empty()) return;
  {
    Gauge infos(families, "mdgen_job_info", "1; its labels name the job.");
    for (const View& job : view.jobs) infos.set({{"job", job.id}, {"name", job.name}}, 1);
  }
  for (const JobGauge& wanted : kJobGauges) {
    Gauge gauge(families, wanted.name, wanted.help);
    for (const View& job : view.jobs)
      if (const auto value = wanted.value(job)) gauge.set({{"job", job.id}}, *value);
    if (families.back().metric.empty()) families.pop_back();
  }
}

void add_ranks(const MetricsView& view, std::vector<MetricFamily>& families) {
  const auto each = [&](const char* name, const char* help, double (*value)(const Slowness&)) {
    Gauge gauge(families, name, help);
    for (const View& job : view.jobs)
      for (std::size_t rank = 0; rank < job.ranks.size(); ++rank)
        if (job.ranks[rank].ratio > 0)
          gauge.set({{"job", job.id}, {"rank", std::to_string(rank)}}, value(job.ranks[rank]));
    if (families.back().metric.empty()) families.pop_back();
  };
  each("mdgen_straggler_score", "A rank's time before the collective over the median of all ranks.",
       [](const Slowness& one) { return one.ratio; });
  each("mdgen_straggler", "1 while the rank is a straggler.",
       [](const Slowness& one) { return one.straggler ? 1.0 : 0.0; });
}

}  // namespace

std::vector<MetricFamily> gauges(const MetricsView& view) {
  std::vector<MetricFamily> families;
  families.reserve(64);  // references into it are held
  add_pool(view, families);
  add_workers(view, families);
  add_jobs(view, families);
  add_ranks(view, families);
  return families;
}

}  // namespace mdgen::coordinator
