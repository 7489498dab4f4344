// The coordinator without sockets, threads, files or a clock: jobs, workers, generations. Every input is a
// method call with the time; what is to be done comes out as outputs, which may be acted on only after save()
// has stored the changes they follow from. Not thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/job_service.pb.h"
#include "mdgen/v1/pool_service.pb.h"
#include "mdgen/v1/worker_service.pb.h"
#include "services/coordinator/elastic.h"
#include "services/coordinator/job_record.h"
#include "services/coordinator/options.h"
#include "services/coordinator/reconcile.h"
#include "services/coordinator/rendezvous.h"
#include "services/coordinator/run_folder.h"
#include "services/coordinator/telemetry.h"
#include "services/coordinator/worker_registry.h"

namespace mdgen::coordinator {

struct Now {
  Clock::Steady steady;
  Clock::Wall wall;
};

// Where records are kept. Implementations throw Error(kUnavailable) when they cannot.
// A copy that is being made, piece by piece, while the store is in use; used like the store itself by one
// thread at a time.
class StoreCopy {
 public:
  virtual ~StoreCopy() = default;
  // Copies at most so many pages of 4 KiB. True: it is complete and on disk. Throws Error.
  virtual bool step(int pages) = 0;
};

class JobStore {
 public:
  virtual ~JobStore() = default;
  // Every job, oldest first. `live` ones with generation and manifest.
  virtual std::vector<JobRecord> load() = 0;
  // What the records' flags and ledgers say is unsaved, in one transaction, durable on return.
  virtual void save(const std::vector<const JobRecord*>& records) = 0;
  // By sequence, at most `limit` of them, from `first_sequence` on.
  virtual ledger::Records ledger(const std::string& job_id, std::int64_t first_sequence, int limit) = 0;
  // Of any job; empty before it has been validated.
  virtual v1::JobManifest manifest(const std::string& job_id) = 0;
  // The kept ones after `after_sequence`, by sequence, at most `limit`.
  virtual std::vector<v1::JobEvent> events(const std::string& job_id, std::int64_t after_sequence,
                                           int limit) = 0;
  // Nothing stays of these jobs, in one transaction, durable on return.
  virtual void forget(const std::vector<std::string>& job_ids) = 0;
  // Begins a copy of the whole store into a new file; the store must outlive it. None: it has no file.
  virtual std::unique_ptr<StoreCopy> copy(const std::filesystem::path&) { return nullptr; }
};

struct SendToAgent {
  std::string worker_id;
  v1::CoordinatorMessage message;
};
struct DropAgent {  // ends its stream
  std::string worker_id;
  std::string reason;
};
struct RequestManifest {
  std::string job_id;
  std::string run_folder;
  v1::JobSpec spec;
  std::optional<v1::Preflight> found;  // by a worker; without it, the data set is to be examined here
};
struct Announce {  // for the log
  std::string job_id;
  v1::Transition transition;
};
struct Warned {  // for the log
  std::string job_id;
  std::string message;
};
struct JobForgotten {  // for the log
  std::string job_id;
  std::string name;
  std::string why;
};
struct Injected {
  std::string worker_id;
  std::int64_t generation = 0;
};
using Output =
    std::variant<SendToAgent, DropAgent, RequestManifest, ExchangeAnswer, Announce, Warned, JobForgotten>;

class Engine {
 public:
  // `epoch` counts the coordinator's starts; `records` are the jobs as they were stored.
  Engine(EngineOptions options, std::int64_t epoch, std::vector<JobRecord> records, Now now);

  // --- clients ---
  // The job of an earlier request with this id, or null.
  const v1::Job* find_request(const std::string& request_id) const;
  // Throws Error when the run folder cannot be had: kAlreadyExists naming the job that owns it,
  // kFailedPrecondition when the spec's resume does not fit what lies there.
  void check_folder(const v1::JobSpec& spec, const FolderFacts& facts) const;
  // The job that submit() would make, without an id, or what it would throw: as check_folder(),
  // kInvalidArgument for a job in `after` that is not there, kFailedPrecondition for one that has failed.
  v1::Job preview(Now now, const v1::JobSpec& spec, const FolderFacts& facts, const std::string& owner) const;
  const v1::Job& submit(Now now, const v1::JobSpec& spec, const std::string& request_id,
                        const FolderFacts& facts, const std::string& owner = "");
  // The spec with which an ended job is tried again.
  v1::JobSpec retry_spec(const std::string& id, bool has_checkpoints) const;
  // A new job with this spec, in the place of an ended one.
  const v1::Job& retry(Now now, const std::string& id, const v1::JobSpec& spec, const std::string& request_id,
                       const FolderFacts& facts, const std::string& actor = "");
  // These throw Error(kFailedPrecondition) when the job's state does not allow it; resume() also when the
  // range does not fit the job, kInvalidArgument when it is none. `workers` null: as before. `actor`: who
  // asks, for the job's events.
  const v1::Job& cancel(Now now, const std::string& id, std::chrono::seconds grace,
                        const std::string& actor = "");
  const v1::Job& pause(Now now, const std::string& id, std::chrono::seconds grace,
                       const std::string& actor = "");
  const v1::Job& resume(Now now, const std::string& id, const v1::WorkerRange* workers,
                        const std::string& actor = "");
  // The values are the schema's: they are checked elsewhere.
  const v1::Job& update(Now now, const v1::UpdateJobRequest& request, const std::string& actor = "");
  // Also when a job that has not ended waits for it.
  void remove(const std::string& id);
  // Whether it is allowed is the caller's business.
  Injected inject(Now now, const std::string& id, int rank, const v1::Fault& fault,
                  const std::string& actor = "");
  // By id, or by name when only one job has it. Throws Error(kNotFound).
  const JobRecord& job(const std::string& id_or_name) const;
  const JobRecord* find(const std::string& id) const;  // null without
  std::vector<const JobRecord*> jobs() const;          // oldest first
  // The job with what is not stored but known: its ranks.
  v1::Job view(const JobRecord& record, Now now) const;
  v1::GetQueueResponse queue() const;

  // --- the data set ---
  // How far the examination is, for people. False when the job waits for it no more.
  bool examining(const std::string& job_id, std::size_t done, std::size_t total, const std::string& where);
  void validated(Now now, const std::string& job_id, Validated result);
  void validation_failed(Now now, const std::string& job_id, const std::string& reason,
                         const std::string& message);

  // --- agents ---
  // Returns the worker's id. Throws Error: kAlreadyExists naming the holder of the slot, kInvalidArgument.
  std::string connect(Now now, const v1::Register& identity);
  void beat(Now now, const std::string& worker_id, const v1::Beat& beat);
  void trainer_event(Now now, const std::string& worker_id, const v1::TrainerEvent& event);
  void preflight_report(Now now, const std::string& worker_id, const v1::PreflightReport& report);
  void disconnect(Now now, const std::string& worker_id, const std::string& how);
  // It said goodbye: a trainer of its own has ended before.
  void leave(Now now, const std::string& worker_id, const std::string& reason);
  // It will leave soon, and gets no more work.
  void drain(Now now, const std::string& worker_id, const v1::Draining& draining);
  // Tells its agent to do so. Throws Error(kNotFound).
  const Worker& order_drain(Now now, const std::string& worker_id, const std::string& actor);
  void exchange(const v1::ExchangeRequest& request, Ticket ticket);
  void forget_exchange(Ticket ticket) { rendezvous_.forget(ticket); }
  // Those that are here, and those that come later: the last agents may still be starting.
  void dismiss_workers(const std::string& reason);
  std::vector<const Worker*> workers() const { return registry_.all(); }
  v1::Worker view(const Worker& worker, Now now) const;

  // Time passes: call several times a second.
  void tick(Now now);
  // Before anything else is called after a while: what passed without a call, or could not be told because
  // the store fails, is a pause of our own and counts as nobody's delay.
  void wake(Now now);
  // The store took so long: orders went out only then.
  void stalled(Now now, std::chrono::nanoseconds pause);

  // Stores what has changed; throws what the store throws, and then everything is still to be saved.
  // `all`: progress too that is not due yet.
  void save(JobStore& store, Now now, bool all = false);
  std::vector<Output> take_outputs();

 private:
  JobRecord& record(const std::string& id);
  JobRecord* find_record(const std::string& id) { return const_cast<JobRecord*>(find(id)); }
  JobRecord* live_record(const v1::GenerationId& id);
  JobRecord& add_job(Now now, v1::Job job, const std::string& request_id, const FolderFacts& facts);
  std::vector<Dependency> resolve_after(const v1::JobSpec& spec) const;
  const JobRecord* retried_as(const std::string& id) const;  // the newest; null without
  const JobRecord* waits_for(const std::string& id) const;   // one that has not ended
  void set_deadline(Now now, JobRecord& record);
  void forget_old(Now now);
  void forget(const std::string& id);
  void note(Now now, JobRecord& record, const std::string& kind, const std::string& reason,
            const std::string& message, const std::string& actor = "");
  void warn(Now now, JobRecord& record, const std::string& text);
  // Changes the job's warnings by `change`, and notes those that are new.
  void noting_warnings(Now now, JobRecord& record, const std::function<void()>& change);
  void restore(JobRecord& record, Now now);

  void settle(Now now);
  std::vector<Want> wants(Now now) const;
  void restrict(Want& want) const;
  void look_at_dependencies(JobRecord& record);
  bool reconcile_once(Now now, JobRecord& record, const Offer& offer);
  void apply(Now now, JobRecord& record, const ChangeState& action);
  void apply(Now now, JobRecord& record, const BuildManifest& action);
  void apply(Now now, JobRecord& record, const Examine& action);
  void apply(Now now, JobRecord& record, const StopExamination& action);
  void apply(Now now, JobRecord& record, const OpenGeneration& action);
  void apply(Now now, JobRecord& record, const StopTrainers& action);
  void apply(Now now, JobRecord& record, const KillTrainers& action);
  void apply(Now now, JobRecord& record, const BreakUp& action);
  void apply(Now now, JobRecord& record, const LoseMembers& action);
  void apply(Now now, JobRecord& record, const Conclude& action);
  void apply(Now now, JobRecord& record, const Expire& action);
  void apply(Now now, JobRecord& record, const GiveUpPause& action);
  void apply(Now now, JobRecord& record, const RenewLease& action);
  void apply(Now now, JobRecord& record, const CloseGeneration& action);
  bool explain(JobRecord& record, const std::string& reason, const std::string& message);
  void explain_waiting(Now now, const std::vector<Want>& wants);
  void show_waiting(Now now, JobRecord& record, int position, const std::string& reason,
                    const std::string& message);
  Member new_member(JobRecord& record, const coordinator::Seat& seat, int rank, Now now);
  void retire_generation(JobRecord& record, const OpenGeneration& next);
  // `neighbours`: members of the generation on the same machine, this one included.
  v1::Assignment assignment(const JobRecord& record, const Member& member, int neighbours) const;
  void take_seats(JobRecord& record);
  void leave_seats(const JobRecord& record);
  // The member of an open generation that an incarnation is; null without.
  Member* seat_in(JobRecord& record, const std::string& incarnation);

  Holding holding(const JobRecord& record, Now now) const;
  bool can_use(const JobRecord& record, const Worker& worker) const;
  int useless_free(const JobRecord& record) const;
  void rebalance(Now now);
  void carry_out(Now now, const Grow& change);
  void carry_out(Now now, const Shrink& change);
  void carry_out(Now now, const Preempt& change);

  void take_findings(Now now, JobRecord& record, const Worker& worker);
  void lose_examination(Now now, const std::string& worker_id, const std::string& how);
  void dismiss(const std::string& worker_id);
  void send_drain(const Worker& worker);
  void adopt(Now now, const Worker& worker);
  bool assign_again(Now now, Worker& worker, const v1::GenerationId& held);
  void take_beat(Now now, JobRecord& record, Member& member, const v1::Beat& beat);
  void take_back(Now now, JobRecord& record, Member& member);
  void repeat_order(Now now, JobRecord& record, Member& member);
  void late_event(Now now, const std::string& worker_id, const v1::TrainerEvent& event);
  void correct(JobRecord& record, const RootCause& cause, std::int64_t generation);
  void on_started(Now now, JobRecord& record, const v1::StartReport& report);
  void on_step(Now now, JobRecord& record, const v1::StepReport& report);
  void on_left(Now now, JobRecord& record, Member& member, const v1::LeftReport& report);
  void on_checkpoint(Now now, JobRecord& record, const v1::CheckpointReport& report);
  void blame_joiners(Now now, JobRecord& record, const Member& member, Evidence& evidence);
  void on_exit(Now now, const std::string& worker_id, const v1::TrainerEvent& event);
  void trainer_over(Now now, JobRecord& record, Member& member, const v1::ProcessExit& exit);
  void fail(Now now, JobRecord& record, Evidence evidence);
  void check_silence(Now now);
  void check_hangs(Now now);
  void watch_progress(Now now);
  void watch_stragglers(Now now, JobRecord& record);
  Telemetry& telemetry() const;
  void show_timeouts(Now now, JobRecord& record, const Bounds& bounds);
  void forgive(Now now, std::chrono::nanoseconds pause);
  void forgive_orders(Now now, std::chrono::nanoseconds pause);

  void send(const std::string& worker_id, v1::CoordinatorMessage message);
  void confirm(const JobRecord& record);
  void send_stop(const JobRecord& record, const Member& member, bool checkpoint, bool yield);
  void send_kill(const JobRecord& record, const Member& member);
  void send_kill(const std::string& worker_id, const v1::GenerationId& id);
  void send_abandon(const JobRecord& record, const Member& member, const std::string& reason);
  void answer(std::vector<ExchangeAnswer> answers);

  EngineOptions options_;
  std::int64_t epoch_;
  std::optional<std::string> dismissal_;  // the reason
  Clock::Steady reconnect_until_;
  Clock::Steady awake_at_;
  bool store_fails_ = false;
  std::optional<Clock::Steady> saved_at_;
  std::optional<Clock::Steady> watched_at_;       // how the jobs get on
  std::vector<std::unique_ptr<JobRecord>> jobs_;  // oldest first
  std::map<std::string, JobRecord*> by_id_;
  std::map<std::string, JobRecord*> by_request_;
  std::map<std::string, std::string> drains_;  // why, by the incarnation of agents that were told to leave
  std::int64_t last_ordinal_ = 0;
  std::vector<std::string> to_forget_;  // by the store
  struct Seat {
    JobRecord* record;
    int rank;
  };
  // By incarnation: the members of open generations. Of two when a trainer has ended and its old generation
  // has not.
  std::unordered_map<std::string, std::vector<Seat>> seats_;
  WorkerRegistry registry_;
  Rendezvous rendezvous_;
  std::vector<Output> outputs_;
};

}  // namespace mdgen::coordinator
