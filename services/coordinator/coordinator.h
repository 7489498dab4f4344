// The engine behind a mutex, with what it needs of the world: a clock that ticks, a store, a thread that
// examines data sets, and the ways out to agents and waiting callers. What adapters (gRPC, HTTP) call.
//
// Thread-safe. What a call changes is stored before anybody is told. Calls of clients return after that. What
// agents say is taken in by one thread, all that has come since it last looked at once and with one commit:
// no other thread waits for the disk, and thousands of reports cost few commits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/parallel.h"
#include "mdgen/v1/job_service.pb.h"
#include "mdgen/v1/pool_service.pb.h"
#include "services/access/caller.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/metrics.h"

namespace mdgen::coordinator {

// The way to one agent. send() and close() come with the coordinator's mutex held: they must not block or
// call back. flush() comes without it, after one or more send(); it may work as long as it needs to.
class AgentSink {
 public:
  virtual ~AgentSink() = default;
  virtual void send(const v1::CoordinatorMessage& message) = 0;  // queues it
  virtual void flush() {}                                        // starts to write what is queued
  virtual void close(const std::string& reason) = 0;
};

// Examines a job's data set, or takes what a worker found, and makes the plan. Throws Error; kAborted when
// `progress` said to stop.
using ManifestBuilder = std::function<Validated(const RequestManifest&, const ParallelProgress& progress)>;
// Called once, without the mutex.
using ExchangeDone = std::function<void(const ExchangeAnswer&)>;

struct CoordinatorOptions {
  EngineOptions engine;
  std::vector<std::filesystem::path> run_roots;
  std::chrono::milliseconds tick{100};
  bool allow_inject = false;
};

// The attempts of a rank that belong to a job (its run folder may hold those of others).
struct LogRange {
  std::filesystem::path folder;
  int first_attempt = 1;
  int last_attempt = 0;
  bool ended = false;
};

// A job, if it has changed since it was last looked at.
struct Watched {
  std::uint64_t version = 0;  // for the next call; from 1
  std::optional<v1::Job> job;
  bool ended = false;
};

class Coordinator {
 public:
  Coordinator(CoordinatorOptions options, std::unique_ptr<JobStore> store, std::int64_t epoch,
              const Clock& clock, ManifestBuilder builder);
  ~Coordinator();  // stops
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Ends the threads after what came before; from now on the end of an agent's stream means nothing. Trainers
  // go on.
  void stop();

  // --- clients who change something: all throw Error, kPermissionDenied when the job is another's ---
  // `validate_only`: everything is checked, and the answer is a job that is not there.
  v1::Job submit(const access::Caller& caller, const v1::JobSpec& resolved, const std::string& request_id,
                 bool validate_only = false);
  v1::Job cancel(const access::Caller& caller, const std::string& id_or_name, std::chrono::seconds grace);
  v1::Job pause(const access::Caller& caller, const std::string& id_or_name, std::chrono::seconds grace);
  // `workers` null: as before.
  v1::Job resume(const access::Caller& caller, const std::string& id_or_name, const v1::WorkerRange* workers);
  v1::Job update(const access::Caller& caller, const v1::UpdateJobRequest& request);
  v1::Job retry(const access::Caller& caller, const std::string& id_or_name, const std::string& request_id);
  void remove(const access::Caller& caller, const std::string& id_or_name);
  // Only where inject_allowed(), and only for an admin.
  Injected inject(const access::Caller& caller, const std::string& id_or_name, int rank,
                  const v1::Fault& fault);
  bool inject_allowed() const { return options_.allow_inject; }
  // Only for an admin.
  v1::Worker drain_worker(const access::Caller& caller, const std::string& id);

  // --- clients who look: all throw Error ---
  v1::Job job(const std::string& id_or_name) const;
  // What WatchJob sends: the job when it is not what it was at `seen` (0: at no time yet). Never blocks.
  Watched watch(const std::string& id_or_name, std::uint64_t seen) const;
  v1::ListJobsResponse list(const v1::ListJobsRequest& request) const;
  // Stores what is not yet stored.
  v1::ListEventsResponse events(const v1::ListEventsRequest& request);
  v1::ListWorkersResponse workers() const;
  v1::GetQueueResponse queue() const;
  std::optional<v1::Job> wait(const std::string& id, std::chrono::milliseconds timeout);
  LogRange logs(const std::string& id_or_name) const;
  // The ledger as it is at this moment: what StreamLedger's first message says. Stores what is not yet
  // stored.
  v1::StreamLedgerResponse ledger_head(const std::string& id_or_name, bool with_inputs);
  // Its stored records by sequence, at most `limit`, from `first_sequence` on.
  ledger::Records ledger(const std::string& id, std::int64_t first_sequence, int limit) const;
  // In Prometheus' text format (docs/metrics.md). The mutex is held for a copy of the numbers alone.
  std::string metrics();

  // --- agents ---
  // Returns the worker's id. Throws Error.
  std::string connect(const std::shared_ptr<AgentSink>& sink, const v1::Register& identity);
  // These return at once. Messages of one agent are taken in the order of their calls. Not registered,
  // goodbye included, when `sink` is not the worker's newest: then the message is dropped.
  void agent_message(const std::string& worker_id, std::shared_ptr<AgentSink> sink, v1::AgentMessage message);
  void agent_gone(const std::string& worker_id, std::shared_ptr<AgentSink> sink);
  Ticket new_ticket() { return ++last_ticket_; }
  void exchange(Ticket ticket, v1::ExchangeRequest request, ExchangeDone done);
  // True when the call was still waiting: it will not be answered any more.
  bool cancel_exchange(Ticket ticket);
  void dismiss_workers(std::chrono::milliseconds timeout);
  std::size_t worker_count() const;

 private:
  using Sinks = std::unordered_map<std::string, std::shared_ptr<AgentSink>>;

  Now now() const { return {clock_.steady(), clock_.wall()}; }
  using Errand = std::function<void()>;

  const v1::Job* answered_before(const access::Caller& caller, const std::string& request_id);
  void post(Errand errand);
  void take(const std::string& worker_id, const v1::AgentMessage& message);
  void acknowledge();
  void answer_taken(const std::shared_ptr<AgentSink>& sink, std::uint64_t number);
  // Holds the mutex; at its end, what is to be told goes out without it.
  class Turn;
  // What a turn leaves to be done without the mutex.
  struct Deliveries {
    std::vector<std::shared_ptr<AgentSink>> to_flush;
    std::vector<std::pair<ExchangeDone, ExchangeAnswer>> answers;
    void carry_out();
  };

  void commit(bool all = false);  // stores (all: progress too that is not due yet), then delivers; mutex held
  void try_commit() noexcept;
  void store_failed(const char* reason);
  void deliver(Output& output);
  void engine_loop();
  void run(const std::vector<Errand>& errands, bool tick);
  void build_loop();
  void build(const RequestManifest& request);
  bool building(const RequestManifest& request, std::size_t done, std::size_t total);

  CoordinatorOptions options_;
  std::unique_ptr<JobStore> store_;
  const Clock& clock_;
  ManifestBuilder builder_;
  std::atomic<Ticket> last_ticket_{0};

  std::mutex inbox_mutex_;
  std::condition_variable inbox_changed_;
  std::vector<Errand> inbox_;
  bool closed_ = false;

  std::mutex calls_mutex_;
  std::unordered_map<Ticket, ExchangeDone> waiting_;

  mutable std::mutex mutex_;         // never taken while one of the two above is held
  std::condition_variable changed_;  // for callers that wait: jobs or workers have changed
  std::condition_variable to_build_changed_;
  bool stopping_ = false;
  std::optional<Clock::Steady> store_failing_since_;
  Clock::Steady store_failing_told_{};
  Metrics metrics_;
  Engine engine_;
  Deliveries deliveries_;
  Sinks sinks_;
  std::vector<std::pair<std::shared_ptr<AgentSink>, std::uint64_t>> to_acknowledge_;
  std::deque<RequestManifest> to_build_;
  std::thread runner_;
  std::thread validator_;
};

}  // namespace mdgen::coordinator
