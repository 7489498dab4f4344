#include "core/prep/run.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/split.h"
#include "core/prep/console.h"
#include "core/prep/entry_work.h"
#include "core/prep/inputs.h"

namespace mdgen::prep {
namespace {

std::map<std::string, std::string> read_sequences(const std::filesystem::path& split,
                                                  std::vector<std::string>& order) {
  std::map<std::string, std::string> sequences;
  if (split.empty()) return sequences;
  data::Problems problems;
  for (const data::SplitRow& row : data::read_split(split, problems)) {
    sequences.emplace(row.name, row.seqres);
    order.push_back(row.name);
  }
  problems.throw_if_any();
  return sequences;
}

// As RFC 4180 has it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void make_parent(const std::filesystem::path& file) {
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
}

// What there is to do, handed out to threads: conversions first, so that few entries are under way at a time.
class Work {
 public:
  Work(std::vector<std::unique_ptr<EntryWork>>& entries, const std::map<std::string, std::string>& sequences,
       Console& console, const std::atomic<bool>& stop)
      : entries_(entries), sequences_(sequences), console_(console), stop_(stop) {}

  // One thread's share; returns when nothing is left for it.
  void take_part() {
    for (std::unique_lock lock(mutex_);;) {
      changed_.wait(lock, [&] { return !parts_.empty() || next_ < entries_.size() || planning_ == 0; });
      if (!parts_.empty()) {
        const auto [entry, part] = parts_.front();
        parts_.pop_front();
        lock.unlock();
        convert(*entry, part);
        lock.lock();
      } else if (next_ < entries_.size() && !stop_) {
        EntryWork& entry = *entries_[next_++];
        ++planning_;
        lock.unlock();
        plan(entry);
        lock.lock();
        --planning_;
        for (std::size_t part = 0; !entry.failed() && part < entry.parts(); ++part)
          parts_.emplace_back(&entry, part);
        changed_.notify_all();
      } else {
        return;
      }
    }
  }

 private:
  void plan(EntryWork& entry) {
    const auto sequence = sequences_.find(entry.report().name);
    entry.plan(sequence == sequences_.end() ? std::nullopt : std::optional(sequence->second), stop_);
    for (const std::string& note : entry.report().notes) console_.info(entry.report().name + ": " + note);
    std::uint64_t to_do = 0;
    for (std::size_t part = 0; !entry.failed() && part < entry.parts(); ++part)
      to_do += entry.part_bytes(part);
    console_.update(
        [&](Progress& progress) { progress.skipped(entry.bytes() - std::min(to_do, entry.bytes())); });
    if (entry.failed() || entry.parts() == 0) end(entry);
  }

  void convert(EntryWork& entry, std::size_t part) {
    std::uint64_t told = 0;
    const OnFrame on_frame = [&](std::size_t behind, std::size_t all) {
      if (stop_ || entry.failed()) throw Interrupted();
      const std::uint64_t bytes = entry.part_bytes(part) * behind / all;
      console_.update([&](Progress& progress) { progress.did(bytes - told); });
      told = bytes;
    };
    const bool last = entry.convert(part, on_frame);
    console_.update([&](Progress& progress) { progress.skipped(entry.part_bytes(part) - told); });
    if (last) end(entry);
  }

  void end(EntryWork& entry) {
    entry.end();
    const EntryReport& report = entry.report();
    for (const std::string& warning : report.warnings) console_.warn(report.name + ": " + warning);
    if (!report.error.empty()) console_.error(report.name + ": " + report.error);
    for (const OutputReport& output : report.outputs) tell(output, report);
    console_.update([](Progress& progress) { progress.entry_ended(); });
  }

  void tell(const OutputReport& output, const EntryReport& entry) {
    const std::string name = std::filesystem::path(output.file).filename().string();
    if (output.unchanged || entry.status != Status::kConverted) return;
    if (!output.reason.empty()) console_.info(name + ": made anew: " + output.reason);
    console_.info(fmt::format("{}: {} frames of {} residues, {:.0f} frames/s", name, output.frames_read,
                              entry.sequence.size(),
                              static_cast<double>(output.frames_read) / output.seconds));
  }

  std::vector<std::unique_ptr<EntryWork>>& entries_;
  const std::map<std::string, std::string>& sequences_;
  Console& console_;
  const std::atomic<bool>& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<EntryWork*, std::size_t>> parts_;
  std::size_t next_ = 0;
  std::size_t planning_ = 0;
};

class Run {
 public:
  Run(const RunOptions& options, const std::atomic<bool>& stop)
      : options_(options), stop_(stop), start_(clock_.steady()) {
    std::vector<std::string> in_split;
    sequences_ = read_sequences(options.split, in_split);
    const std::vector<std::string> names = !options.names.empty() ? options.names
                                           : !in_split.empty()    ? in_split
                                                                  : entry_names(options.sim_dir);
    for (const std::string& name : names) {
      if (!sequences_.empty() && sequences_.count(name) == 0)
        throw Error(ErrorCode::kNotFound, options.split.string() + ": it has no entry '" + name + "'");
      entries_.push_back(std::make_unique<EntryWork>(name, options));
    }
  }

  Report all() {
    std::filesystem::create_directories(options_.outdir);
    make_parent(options_.write_split);
    make_parent(report_file());
    std::uint64_t bytes = 0;
    std::size_t most = 0;
    for (const auto& entry : entries_) {
      entry->locate();
      bytes += entry->bytes();
      most += std::max<std::size_t>(entry->trajectories(), 1);
    }
    Console console(Progress(entries_.size(), bytes, start_), ::isatty(STDERR_FILENO) == 1, clock_);
    Work work(entries_, sequences_, console, stop_);
    std::vector<std::jthread> threads;
    const std::size_t count = std::min(most, static_cast<std::size_t>(options_.num_workers));
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back([&] { work.take_part(); });
    work.take_part();
    threads.clear();
    return write_report();
  }

 private:
  std::filesystem::path report_file() const {
    return options_.report.empty() ? options_.outdir / "report.json" : options_.report;
  }

  Report write_report() const {
    Report report;
    std::string csv = "name,seqres\n";
    for (const auto& entry : entries_) {
      const EntryReport& one = entry->report();
      report.entries.push_back(one);
      if (one.status == Status::kConverted || one.status == Status::kUnchanged)
        csv += csv_field(one.name) + "," + one.sequence + "\n";
    }
    report.interrupted = stop_ && !report.good();
    report.seconds = std::chrono::duration<double>(clock_.steady() - start_).count();
    const bool any = report.count(Status::kConverted) + report.count(Status::kUnchanged) > 0;
    if (!options_.write_split.empty() && any) replace_file(options_.write_split, csv);
    replace_file(report_file(), report_json(report));
    return report;
  }

  const RunOptions& options_;
  const std::atomic<bool>& stop_;
  const SystemClock clock_;
  const Clock::Steady start_;
  std::map<std::string, std::string> sequences_;
  std::vector<std::unique_ptr<EntryWork>> entries_;
};

}  // namespace

Report run(const RunOptions& options, const std::atomic<bool>& stop) { return Run(options, stop).all(); }

}  // namespace mdgen::prep
