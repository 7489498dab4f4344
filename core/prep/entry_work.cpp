#include "core/prep/entry_work.h"

#include <chrono>
#include <variant>

#include "core/base/error.h"

namespace mdgen::prep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReplicas = 3;

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

EntryWork::EntryWork(std::string name, const RunOptions& options) : options_(options) {
  report_.name = std::move(name);
}

template <typename Step>
void EntryWork::guard(Step step) {
  const Stopwatch watch;
  std::string error;
  bool interrupted = false;
  try {
    step();
  } catch (const Interrupted&) {
    interrupted = true;
  } catch (const std::exception& caught) {
    error = caught.what();
  }
  const std::lock_guard lock(mutex_);
  report_.seconds += watch.seconds();
  interrupted_ = interrupted_ || interrupted;
  if (!error.empty()) report_.error += (report_.error.empty() ? "" : "; ") + error;
}

bool EntryWork::failed() const {
  const std::lock_guard lock(mutex_);
  return interrupted_ || !report_.error.empty();
}

void EntryWork::locate() {
  guard([&] {
    if (options_.topology.empty()) {
      entry_ = prep::locate(options_.sim_dir, report_.name, options_.atlas, options_.outdir, options_.suffix);
      if (options_.atlas && entry_.sources.size() < kReplicas)
        report_.warnings.push_back(std::to_string(entry_.sources.size()) + " of " +
                                   std::to_string(kReplicas) + " replicas present");
    } else {
      const std::optional<int> replica = options_.atlas ? std::optional<int>(options_.replica) : std::nullopt;
      entry_ = {
          report_.name,
          options_.topology,
          {{options_.trajectory, output_file(options_.outdir, report_.name, replica, options_.suffix)}}};
    }
    for (const Source& source : entry_.sources)
      if (fs::is_regular_file(source.trajectory)) bytes_ += fs::file_size(source.trajectory);
  });
}

void EntryWork::plan(const std::optional<std::string>& seqres, const std::atomic<bool>& stop) {
  if (failed()) return;
  guard([&] {
    if (stop) throw Interrupted();
    topology_ = identify(entry_.topology);
    find_unfinished();
    const bool other_sequence = seqres && !report_.sequence.empty() && report_.sequence != *seqres;
    if (!parts_.empty() || other_sequence || report_.sequence.empty()) read_selection(seqres);
  });
  parts_left_ = parts_.size();
}

void EntryWork::find_unfinished() {
  for (std::size_t i = 0; i < entry_.sources.size(); ++i) {
    const Source& source = entry_.sources[i];
    OutputReport output;
    output.file = source.output.string();
    output.source = source.trajectory.string();
    Part part{i, 0, identify(source.trajectory), std::nullopt};
    part.bytes = part.trajectory.size;
    std::variant<Record, std::string> found = "--force";
    if (!options_.force)
      found = find_current(source.output, topology_, part.trajectory, options_.convert, options_.rules);
    if (const auto* record = std::get_if<Record>(&found)) {
      output.unchanged = true;
      output.frames_read = record->frames_read;
      output.frames = record->frames;
      output.mended = record->mended;
      output.sha256 = record->array_sha256;
      report_.sequence = record->sequence;
      report_.notes = record->notes;
    } else if (options_.skip_existing && !options_.force && fs::exists(source.output) &&
               !fs::exists(record_file(source.output))) {
      output.unchanged = true;
      report_.warnings.push_back(output.file + " is kept unchecked (--skip_existing)");
    } else {
      output.reason = fs::exists(source.output) ? std::get<std::string>(found) : "";
      parts_.push_back(std::move(part));
    }
    report_.outputs.push_back(std::move(output));
  }
}

void EntryWork::read_selection(const std::optional<std::string>& seqres) {
  const format::Topology topology = format::read_topology(entry_.topology);
  for (const format::TopologyResidue& residue : topology.residues) residue_names_.insert(residue.name);
  selection_ = select_atoms(topology, entry_.topology, options_.rules);
  report_.sequence = selection_.sequence;
  report_.notes = selection_.notes;
  if (seqres) check_sequence(selection_, *seqres, entry_.topology);
}

bool EntryWork::convert(std::size_t part, const OnFrame& on_frame) {
  if (!failed()) {
    const Source& source = entry_.sources[parts_[part].source];
    guard([&] {
      const Stopwatch watch;
      Converted converted =
          prep::convert(selection_, source.trajectory, source.output, options_.convert, on_frame);
      OutputReport& output = report_.outputs[parts_[part].source];  // this part's alone
      output.frames_read = converted.frames_read;
      output.frames = converted.frames;
      output.mended = converted.mended;
      output.sha256 = converted.writer.sha256();
      output.seconds = watch.seconds();
      parts_[part].converted.emplace(std::move(converted));
    });
  }
  return --parts_left_ == 0;
}

void EntryWork::end() {
  if (!failed()) guard([&] { publish(); });
  for (Part& part : parts_) part.converted.reset();  // removes what was not published
  if (report_.error.empty() && !interrupted_) {
    report_.status = parts_.empty() ? Status::kUnchanged : Status::kConverted;
    return;
  }
  report_.status = report_.error.empty() ? Status::kInterrupted : Status::kFailed;
  name_older_arrays();
}

void EntryWork::publish() {
  for (Part& part : parts_) {
    const fs::path& array = entry_.sources[part.source].output;
    part.converted->writer.publish();
    write_record(array, record(part));
  }
}

Record EntryWork::record(const Part& part) const {
  const OutputReport& output = report_.outputs[part.source];
  Record record;
  record.topology = topology_;
  record.trajectory = part.trajectory;
  record.options = options_text(options_.convert, options_.rules, residue_names_);
  record.residue_names = residue_names_;
  record.sequence = selection_.sequence;
  record.frames_read = output.frames_read;
  record.frames = output.frames;
  record.mended = output.mended;
  record.array_bytes = fs::file_size(output.file);
  record.array_sha256 = output.sha256;
  record.notes = selection_.notes;
  return record;
}

void EntryWork::name_older_arrays() {
  std::erase_if(report_.outputs, [](const OutputReport& output) { return !output.unchanged; });
  for (const Part& part : parts_)
    if (const fs::path& array = entry_.sources[part.source].output; fs::exists(array))
      report_.warnings.push_back(array.string() + " of an earlier run is still there");
}

}  // namespace mdgen::prep
