// An engine with a clock that the test turns, a store in memory, and agents that only remember what they were
// told.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "services/coordinator/engine.h"

namespace mdgen::coordinator::testing {

// Keeps what was saved, as a store on disk would: a copy.
class MemoryStore : public JobStore {
 public:
  std::vector<JobRecord> load() override {
    std::vector<JobRecord> records;
    for (const std::string& id : order_) {
      JobRecord record = records_.at(id);
      record.ledger = ledger::Writer(ledger::position_of(ledgers_[id]));
      record.unsaved = JobRecord::Unsaved::kNothing;
      record.generation_unsaved = record.manifest_unsaved = record.validating = false;
      record.examination.reset();
      record.examinations = 0;
      if (record.generation) record.generation = stored_part(*record.generation);
      forget_unstored(record);
      records.push_back(std::move(record));
    }
    return records;
  }
  void save(const std::vector<const JobRecord*>& records) override {
    if (on_save) on_save();
    if (broken) throw Error(ErrorCode::kUnavailable, "disk full");
    ++saves;
    for (const JobRecord* record : records) {
      if (!records_.contains(record->id())) order_.push_back(record->id());
      records_[record->id()] = *record;
      for (const v1::JobEvent& event : record->events.pending()) events_[record->id()].push_back(event);
      auto& ledger = ledgers_[record->id()];
      for (const v1::LedgerRecord& entry : record->ledger.pending()) {
        const auto known = std::find_if(ledger.begin(), ledger.end(), [&](const v1::LedgerRecord& old) {
          return old.sequence() == entry.sequence();
        });
        if (known == ledger.end()) {
          ledger.push_back(entry);
        } else {
          *known = entry;
        }
      }
    }
  }
  ledger::Records ledger(const std::string& job_id, std::int64_t first_sequence = 0,
                         int limit = -1) override {
    ledger::Records page;
    for (const v1::LedgerRecord& record : ledgers_[job_id])
      if (record.sequence() >= first_sequence && (limit < 0 || static_cast<int>(page.size()) < limit))
        page.push_back(record);
    return page;
  }
  v1::JobManifest manifest(const std::string& job_id) override { return records_.at(job_id).manifest; }
  std::vector<v1::JobEvent> events(const std::string& job_id, std::int64_t after_sequence,
                                   int limit) override {
    std::vector<v1::JobEvent> page;
    for (const v1::JobEvent& event : events_[job_id])
      if (event.sequence() > after_sequence && static_cast<int>(page.size()) < limit) page.push_back(event);
    return page;
  }
  void forget(const std::vector<std::string>& job_ids) override {
    if (broken) throw Error(ErrorCode::kUnavailable, "disk full");
    for (const std::string& id : job_ids) {
      std::erase(order_, id);
      records_.erase(id);
      ledgers_.erase(id);
      events_.erase(id);
    }
  }
  bool knows(const std::string& job_id) const { return records_.contains(job_id); }
  v1::JobState saved_state(const std::string& job_id) const { return records_.at(job_id).state(); }

  std::function<void()> on_save;
  std::atomic<bool> broken = false;
  int saves = 0;

 private:
  static Generation stored_part(const Generation& generation) {
    Generation stored;
    stored.number = generation.number;
    stored.open = generation.open;
    stored.concluded = generation.concluded;
    for (const Member& member : generation.members) {
      Member& kept = stored.members.emplace_back();
      kept.rank = member.rank;
      kept.attempt = member.attempt;
      kept.worker_id = member.worker_id;
      kept.incarnation = member.incarnation;
      kept.host = member.host;
      kept.device = member.device;
    }
    return stored;
  }
  static void forget_unstored(JobRecord& record) {
    record.retry_at.reset();
    record.previous.reset();
    record.recovery = {};
    record.measured = {};
    record.run = {};
    record.proven.clear();
    record.refused.clear();
    record.cap.reset();
    record.remark.reset();
    record.desired.deadline.reset();
    record.events = JobEvents(record.events.last_sequence());
    record.expires_at.reset();
    record.selector.clear();
    record.version = 1;
    for (Dependency& dependency : record.after) dependency = {dependency.id, "", std::nullopt};
    record.timeouts_shown.reset();
  }

  std::vector<std::string> order_;
  std::map<std::string, JobRecord> records_;
  std::map<std::string, ledger::Records> ledgers_;
  std::map<std::string, std::vector<v1::JobEvent>> events_;
};

// What the engine told of runs.
struct Heard : Telemetry {
  void submitted() override { ++jobs; }
  void ended(const v1::Job& job) override { ends.push_back(job.state()); }
  void step(const v1::Job&, const v1::StepReport& report) override { steps.push_back(report.step()); }
  void checkpoint(const v1::Job&, const v1::CheckpointReport&) override { ++checkpoints; }
  void restarted(const v1::Job&, const std::string& reason) override { restarts.push_back(reason); }
  void recovered(const v1::Job&, const v1::Recovery& recovery, double detect_seconds) override {
    recoveries.push_back(recovery);
    detected_after.push_back(detect_seconds);
  }
  int jobs = 0;
  int checkpoints = 0;
  std::vector<v1::JobState> ends;
  std::vector<std::int64_t> steps;
  std::vector<std::string> restarts;
  std::vector<v1::Recovery> recoveries;
  std::vector<double> detected_after;
};

struct World {
  World() {
    options.telemetry = &heard;
    restart();
  }

  // --- time and storage ---
  Now now() const {
    return {Clock::Steady(steady), Clock::Wall(std::chrono::seconds(1'800'000'000) + steady)};
  }
  void pass(std::chrono::milliseconds time) {
    steady += time;
    engine->tick(now());
    flush();
  }
  // Everybody who is here keeps beating meanwhile, and every trainer makes progress.
  void pass_with_beats(std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += std::chrono::milliseconds(1000)) {
      for (const Worker* worker : engine->workers()) {
        v1::Beat beat;
        beat.set_phase(v1::TRAINER_PHASE_COMPUTE);
        beat.set_step(steady.count());
        engine->beat(now(), worker->id, beat);
      }
      pass(std::chrono::milliseconds(1000));
    }
  }
  void flush() {
    engine->save(store, now());
    for (Output& output : engine->take_outputs()) {
      if (auto* sent = std::get_if<SendToAgent>(&output)) {
        if (sent->message.has_stored()) {
          stored[sent->worker_id] = sent->message.stored().step();
        } else {
          inbox[sent->worker_id].push_back(sent->message);
        }
      }
      if (auto* build = std::get_if<RequestManifest>(&output)) builds.push_back(*build);
      if (auto* answer = std::get_if<ExchangeAnswer>(&output)) answers.push_back(*answer);
      if (auto* drop = std::get_if<DropAgent>(&output)) dropped.push_back(drop->worker_id);
      if (auto* warned = std::get_if<Warned>(&output)) warnings.push_back(warned->message);
    }
  }
  void restart() {
    inbox.clear();
    builds.clear();
    engine = std::make_unique<Engine>(options, ++epoch, store.load(), now());
    flush();
  }

  // --- jobs ---
  static v1::JobSpec spec(const std::string& name, int min = 1, int max = 2) {
    v1::JobSpec spec;
    spec.set_name(name);
    spec.set_work_dir("/runs");
    spec.set_resume("auto");
    spec.mutable_workers()->set_min(min);
    spec.mutable_workers()->set_max(max);
    return spec;
  }
  static FolderFacts fresh_folder(const v1::JobSpec& spec) {
    FolderFacts facts;
    facts.folder = std::filesystem::path(spec.work_dir()) / spec.name();
    return facts;
  }
  std::string submit(const v1::JobSpec& spec, const std::string& request_id = "") {
    const std::string id = engine->submit(now(), spec, request_id, fresh_folder(spec)).id();
    flush();
    return id;
  }
  void validate(const std::string& id, std::int64_t total_steps = 100) {
    Validated result;
    result.total_steps = total_steps;
    result.plan_digest = "plan";
    result.manifest.set_digest("manifest");
    engine->validated(now(), id, std::move(result));
    flush();
  }
  std::string queued(const v1::JobSpec& spec) {
    const std::string id = submit(spec);
    validate(id);
    return id;
  }
  const v1::Job& job(const std::string& id) const { return engine->job(id).job; }
  v1::JobState state(const std::string& id) const { return job(id).state(); }
  void cancel(const std::string& id, int grace = 60) {
    engine->cancel(now(), id, std::chrono::seconds(grace));
    flush();
  }

  // --- agents ---
  static v1::Register identity(const std::string& incarnation, const std::string& device = "cpu") {
    v1::Register identity;
    identity.set_incarnation(incarnation);
    identity.set_host("node1");
    identity.set_pid(7);
    identity.set_boot_id("boot1");
    identity.set_device(device);
    identity.set_address("10.0.0.1");
    identity.set_cpus(8);
    return identity;
  }
  std::string agent(const std::string& incarnation) { return agent(identity(incarnation)); }
  std::string agent(const v1::Register& identity) {
    const std::string id = engine->connect(now(), identity);
    flush();
    return id;
  }
  void lose(const std::string& worker) {
    engine->disconnect(now(), worker, "its connection ended");
    flush();
  }
  // The newest assignment that an agent got.
  v1::Assignment assignment(const std::string& worker) {
    for (auto message = inbox[worker].rbegin(); message != inbox[worker].rend(); ++message)
      if (message->has_start()) return message->start();
    return {};
  }
  int abandons(const std::string& worker) {
    return static_cast<int>(std::count_if(inbox[worker].begin(), inbox[worker].end(),
                                          [](const auto& message) { return message.has_abandon(); }));
  }
  // The newest order that is not a kill; null without.
  const v1::StopOrder* order(const std::string& worker) {
    for (auto message = inbox[worker].rbegin(); message != inbox[worker].rend(); ++message)
      if (message->has_stop() && !message->stop().kill()) return &message->stop().order();
    return nullptr;
  }
  int stops(const std::string& worker, bool kill) {
    return static_cast<int>(std::count_if(
        inbox[worker].begin(), inbox[worker].end(),
        [&](const auto& message) { return message.has_stop() && message.stop().kill() == kill; }));
  }

  // --- trainers ---
  v1::TrainerEvent event(const std::string& worker) {
    v1::TrainerEvent event;
    *event.mutable_id() = assignment(worker).id();
    event.set_rank(assignment(worker).rank());
    return event;
  }
  void say(const std::string& worker, const v1::TrainerEvent& event) {
    engine->trainer_event(now(), worker, event);
    flush();
  }
  void started(const std::string& worker, std::int64_t first_step = 0, const std::string& checkpoint = "") {
    auto report = event(worker);
    report.mutable_started()->set_first_step(first_step);
    report.mutable_started()->set_checkpoint(checkpoint);
    say(worker, report);
  }
  void step(const std::string& worker, std::int64_t step, double loss = 1.0) {
    auto report = event(worker);
    report.mutable_step()->set_step(step);
    report.mutable_step()->set_loss(loss);
    report.mutable_step()->set_seconds(0.5);
    report.mutable_step()->set_tokens(100);
    report.mutable_step()->set_samples(4);
    report.mutable_step()->set_sample_hash_sum(static_cast<std::uint64_t>(1000 + step));
    say(worker, report);
  }
  void steps(const std::string& worker, std::int64_t first, std::int64_t last) {
    for (std::int64_t at = first; at <= last; ++at) step(worker, at);
  }
  void checkpoint(const std::string& worker, std::int64_t step, bool verified = true) {
    auto report = event(worker);
    report.mutable_checkpoint()->set_step(step);
    report.mutable_checkpoint()->set_folder("step-" + std::to_string(step));
    report.mutable_checkpoint()->set_verified(verified);
    say(worker, report);
  }
  void finish(const std::string& worker, v1::Outcome outcome, const std::string& reason = "",
              const std::string& message = "") {
    auto report = event(worker);
    report.mutable_finished()->set_outcome(outcome);
    report.mutable_finished()->set_reason(reason);
    report.mutable_finished()->set_message(message);
    say(worker, report);
  }
  // It has left its generation, and waits.
  void left(const std::string& worker, std::int64_t applied, const std::string& reason = "Abandoned") {
    auto report = event(worker);
    report.mutable_left()->set_applied(applied);
    report.mutable_left()->set_resident(true);
    report.mutable_left()->set_reason(reason);
    say(worker, report);
  }
  void left_agreed(const std::string& worker, std::int64_t applied, bool checkpointed = false) {
    auto report = event(worker);
    report.mutable_left()->set_applied(applied);
    report.mutable_left()->set_resident(true);
    report.mutable_left()->set_agreed(true);
    report.mutable_left()->set_checkpointed(checkpointed);
    say(worker, report);
  }
  void exit(const std::string& worker, int code, int signal = 0, const std::string& last_line = "") {
    auto report = event(worker);
    report.mutable_exited()->set_exit_code(code);
    report.mutable_exited()->set_signal(signal);
    if (!last_line.empty()) report.mutable_exited()->add_last_log_lines(last_line);
    say(worker, report);
  }
  std::size_t post(const std::string& job, std::int64_t generation, int rank, const std::string& blob,
                   Ticket ticket, const std::string& incarnation = "") {
    v1::ExchangeRequest request;
    request.mutable_id()->set_job_id(job);
    request.mutable_id()->set_generation(generation);
    request.set_rank(rank);
    request.set_key("k");
    request.set_blob(blob);
    request.set_incarnation(incarnation.empty() ? "i" + std::to_string(rank) : incarnation);
    engine->exchange(request, ticket);
    const std::size_t before = answers.size();
    flush();
    return answers.size() - before;
  }

  Heard heard;
  EngineOptions options;
  std::chrono::milliseconds steady{1'000'000};
  std::int64_t epoch = 0;
  MemoryStore store;
  std::unique_ptr<Engine> engine;
  std::map<std::string, std::vector<v1::CoordinatorMessage>> inbox;
  std::map<std::string, std::int64_t> stored;  // by worker: the step that it was last told is on disk
  std::vector<RequestManifest> builds;
  std::vector<ExchangeAnswer> answers;
  std::vector<std::string> dropped;
  std::vector<std::string> warnings;  // for the log
};

}  // namespace mdgen::coordinator::testing
