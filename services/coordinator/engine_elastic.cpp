// Engine: running jobs give and take workers.
#include <algorithm>
#include <utility>

#include "services/coordinator/elastic.h"
#include "services/coordinator/engine.h"

namespace mdgen::coordinator {
namespace {

bool leaves(const JobRecord& record) {
  const v1::JobState state = record.state();
  return state == v1::JOB_STATE_CANCELLING || state == v1::JOB_STATE_PAUSING ||
         state == v1::JOB_STATE_CHECKPOINTING;
}

// It trains, and nobody has asked anything of it.
bool steady(const JobRecord& record, Clock::Steady now) {
  const Generation& generation = *record.generation;
  return record.state() == v1::JOB_STATE_RUNNING && record.desired.goal == Desired::Goal::kRun &&
         generation.stepped && !generation.departure && generation.cause() == nullptr &&
         !generation.members[0].finish && now >= record.left_alone_until;
}

std::vector<int> all_ranks(const Generation& generation) {
  std::vector<int> ranks;
  for (const Member& member : generation.members)
    if (!member.out()) ranks.push_back(member.rank);
  return ranks;
}

// Its workers that the head of the queue could use.
int fitting(const JobRecord& record, const Want& head) {
  const auto& members = record.generation->members;
  return static_cast<int>(std::count_if(members.begin(), members.end(), [&](const Member& member) {
    return !member.over() && !head.refused.contains(member.worker_id);
  }));
}

}  // namespace

Holding Engine::holding(const JobRecord& record, Now now) const {
  const Generation& generation = *record.generation;
  Holding holding;
  holding.job_id = record.id();
  holding.priority = record.job.spec().priority();
  holding.workers = static_cast<int>(std::count_if(generation.members.begin(), generation.members.end(),
                                                   [](const Member& member) { return !member.over(); }));
  holding.min = record.job.spec().workers().min();
  holding.max = record.job.spec().workers().max();
  holding.steady = steady(record, now.steady);
  holding.useless = useless_free(record);
  holding.rested = now.steady - record.resized_at >= options_.grow_interval;
  if (leaves(record)) {
    holding.gives_back = holding.workers;
  } else if (record.cap) {
    holding.gives_back = std::max(0, holding.workers - record.most_workers());
  }
  return holding;
}

// Free workers that this job cannot use.
int Engine::useless_free(const JobRecord& record) const {
  if (record.refused.empty() && record.selector.empty()) return 0;
  const auto all = registry_.all();
  return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const Worker* worker) {
    return registry_.is_free(worker->id) && !can_use(record, *worker);
  }));
}

void Engine::rebalance(Now now) {
  std::vector<Holding> holdings;
  int held = 0;
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    holdings.push_back(holding(*record, now));
    held += holdings.back().workers;
  }
  if (holdings.empty()) return;
  std::vector<Want> queue = wants(now);
  std::erase_if(queue, [](const Want& want) { return !want.queued && want.former == 0; });
  const PoolSize size = registry_.size();
  const auto head =
      std::find_if(queue.begin(), queue.end(), [&](const Want& want) { return want.feasible(size.total); });
  if (head != queue.end() && !head->refused.empty())
    for (Holding& holding : holdings) holding.fits = fitting(this->record(holding.job_id), *head);
  // Trainers that were told to end and have not yet: of no open generation, and their workers not free.
  holdings.emplace_back().gives_back = std::max(0, size.total - size.free - held);
  for (const Change& change : coordinator::rebalance(holdings, queue, size))
    std::visit([&](const auto& chosen) { carry_out(now, chosen); }, change);
}

void Engine::carry_out(Now now, const Grow& change) {
  JobRecord& record = this->record(change.job_id);
  record.generation->departure = Departure::kGrow;
  apply(now, record, StopTrainers{all_ranks(*record.generation), false, true});
}

void Engine::carry_out(Now now, const Shrink& change) {
  JobRecord& record = this->record(change.job_id);
  record.generation->departure = Departure::kShrink;
  record.cap = change.to;
  apply(now, record, StopTrainers{all_ranks(*record.generation), false, true});
}

void Engine::carry_out(Now now, const Preempt& change) {
  JobRecord& record = this->record(change.job_id);
  record.generation->departure = Departure::kPreempt;
  const Bounds bounds = bounds_of(record);
  const Seconds wait =
      std::max(Seconds(options_.checkpoint_wait),
               bounds.of(v1::TRAINER_PHASE_COMPUTE) + bounds.of(v1::TRAINER_PHASE_CHECKPOINT));
  record.generation->leave_by = now.steady + std::chrono::duration_cast<Clock::Steady::duration>(wait);
  const std::string& name = this->record(change.for_job).job.name();
  apply(now, record,
        ChangeState{v1::JOB_STATE_CHECKPOINTING, "Preempted",
                    "a checkpoint is written and its workers go to " + name + " (" + change.for_job +
                        "), which has a higher priority"});
  apply(now, record, StopTrainers{all_ranks(*record.generation), true, true});
}

}  // namespace mdgen::coordinator
