#include "core/prep/run.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/split.h"
#include "core/prep/inputs.h"

namespace mdgen::prep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReplicas = 3;

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

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options) {
    std::vector<std::string> in_split;
    sequences_ = read_sequences(options.split, in_split);
    names_ = !options.names.empty() ? options.names
             : !in_split.empty()    ? in_split
                                    : entry_names(options.sim_dir);
    for (const std::string& name : names_)
      if (!sequences_.empty() && sequences_.count(name) == 0)
        throw Error(ErrorCode::kNotFound, options.split.string() + ": it has no entry '" + name + "'");
    found_sequences_.resize(names_.size());
  }

  bool all() {
    std::filesystem::create_directories(options_.outdir);
    if (options_.write_split.has_parent_path())
      std::filesystem::create_directories(options_.write_split.parent_path());
    std::vector<std::jthread> workers;
    const std::size_t count = std::min(names_.size(), static_cast<std::size_t>(options_.num_workers));
    for (std::size_t i = 1; i < count; ++i) workers.emplace_back([this] { work(); });
    work();
    workers.clear();
    return report();
  }

 private:
  void work() {
    for (std::size_t i = next_++; i < names_.size(); i = next_++) {
      try {
        found_sequences_[i] = convert_entry(names_[i]);
      } catch (const std::exception& error) {
        spdlog::error("{}: {}", names_[i], error.what());
      }
    }
  }

  Entry find(const std::string& name) const {
    if (options_.topology.empty())
      return locate(options_.sim_dir, name, options_.atlas, options_.outdir, options_.suffix);
    const std::optional<int> replica = options_.atlas ? std::optional<int>(options_.replica) : std::nullopt;
    return {name,
            options_.topology,
            {{options_.trajectory, output_file(options_.outdir, name, replica, options_.suffix)}}};
  }

  // All replicas are converted before the first is published.
  std::string convert_entry(const std::string& name) {
    const Entry entry = find(name);
    const Selection selection =
        select_atoms(format::read_topology(entry.topology), entry.topology, options_.rules);
    for (const std::string& note : selection.notes) spdlog::info("{}: {}", name, note);
    if (const auto wanted = sequences_.find(name); wanted != sequences_.end())
      check_sequence(selection, wanted->second, entry.topology);
    if (options_.atlas && options_.topology.empty() && entry.sources.size() < kReplicas)
      spdlog::warn("{}: {} of {} replicas present", name, entry.sources.size(), kReplicas);
    std::vector<Converted> converted;
    for (const Source& source : entry.sources) {
      if (options_.skip_existing && std::filesystem::exists(source.output)) continue;
      converted.push_back(convert_source(source, selection));
    }
    for (Converted& one : converted) one.writer.publish();
    return selection.sequence;
  }

  Converted convert_source(const Source& source, const Selection& selection) const {
    const Clock::time_point begin = Clock::now();
    Converted converted = convert(selection, source.trajectory, source.output, options_.convert);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    spdlog::info("{}: {} frames of {} residues, {:.0f} frames/s", source.output.filename().string(),
                 converted.frames, selection.sequence.size(),
                 static_cast<double>(converted.frames) / seconds);
    return converted;
  }

  bool report() const {
    std::string csv = "name,seqres\n";
    std::size_t good = 0;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (!found_sequences_[i]) continue;
      csv += csv_field(names_[i]) + "," + *found_sequences_[i] + "\n";
      ++good;
    }
    if (!options_.write_split.empty() && good > 0) replace_file(options_.write_split, csv);
    if (good == names_.size()) return true;
    spdlog::error("{} of {} entries failed{}", names_.size() - good, names_.size(),
                  options_.write_split.empty() ? "" : " and are not in " + options_.write_split.string());
    return false;
  }

  const RunOptions& options_;
  std::map<std::string, std::string> sequences_;
  std::vector<std::string> names_;
  std::vector<std::optional<std::string>> found_sequences_;  // one writer an element
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace

bool run(const RunOptions& options) { return Run(options).all(); }

}  // namespace mdgen::prep
