#include "core/prep/report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace mdgen::prep {
namespace {

using json = nlohmann::ordered_json;

json texts(const std::vector<std::string>& lines) {
  json array = json::array();
  for (const std::string& line : lines) array.push_back(to_utf8(line));
  return array;
}

json to_json(const OutputReport& output) {
  return {{"file", to_utf8(output.file)},
          {"source", to_utf8(output.source)},
          {"status", output.unchanged ? "unchanged" : "converted"},
          {"reason", to_utf8(output.reason)},
          {"frames_read", output.frames_read},
          {"frames", output.frames},
          {"mended", output.mended},
          {"sha256", output.sha256},
          {"seconds", output.seconds}};
}

json to_json(const EntryReport& entry) {
  json outputs = json::array();
  for (const OutputReport& output : entry.outputs) outputs.push_back(to_json(output));
  return {{"name", to_utf8(entry.name)},       {"status", status_name(entry.status)},
          {"residues", entry.sequence.size()}, {"files", outputs},
          {"notes", texts(entry.notes)},       {"warnings", texts(entry.warnings)},
          {"error", to_utf8(entry.error)},     {"seconds", entry.seconds}};
}

std::string frames(const EntryReport& entry) {
  std::vector<std::string> counts;
  for (const OutputReport& output : entry.outputs) counts.push_back(std::to_string(output.frames));
  return join(counts, " ");
}

std::string remarks(const EntryReport& entry) {
  std::vector<std::string> parts;
  if (!entry.error.empty()) parts.push_back(entry.error);
  for (const std::string& warning : entry.warnings) parts.push_back(warning);
  for (const OutputReport& output : entry.outputs)
    if (output.mended > 0)
      parts.push_back(
          fmt::format("broken periodic images mended in {} of {} frames", output.mended, output.frames));
  for (const std::string& note : entry.notes) parts.push_back(note);
  return join(parts, "; ");
}

std::string totals(const Report& report) {
  std::vector<std::string> parts;
  for (const Status status :
       {Status::kConverted, Status::kUnchanged, Status::kFailed, Status::kInterrupted, Status::kNotStarted}) {
    const bool always =
        status == Status::kConverted || status == Status::kUnchanged || status == Status::kFailed;
    if (const std::size_t count = report.count(status); always || count > 0)
      parts.push_back(std::to_string(count) + " " + status_name(status));
  }
  return fmt::format("prep: {} entries: {} in {:.1f} s{}\n", report.entries.size(), join(parts, ", "),
                     report.seconds, report.interrupted ? " (interrupted)" : "");
}

}  // namespace

std::size_t Report::count(Status status) const {
  return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(),
                                                [&](const EntryReport& e) { return e.status == status; }));
}

bool Report::good() const { return count(Status::kConverted) + count(Status::kUnchanged) == entries.size(); }

std::string status_name(Status status) {
  switch (status) {
    case Status::kConverted:
      return "converted";
    case Status::kUnchanged:
      return "unchanged";
    case Status::kFailed:
      return "failed";
    case Status::kInterrupted:
      return "interrupted";
    case Status::kNotStarted:
      return "not_started";
  }
  return "";
}

std::string report_json(const Report& report) {
  json counts;
  for (const Status status :
       {Status::kConverted, Status::kUnchanged, Status::kFailed, Status::kInterrupted, Status::kNotStarted})
    counts[status_name(status)] = report.count(status);
  json entries = json::array();
  for (const EntryReport& entry : report.entries) entries.push_back(to_json(entry));
  return json{{"version", MDGEN_VERSION},
              {"interrupted", report.interrupted},
              {"seconds", report.seconds},
              {"counts", counts},
              {"entries", entries}}
             .dump(1) +
         "\n";
}

std::string report_table(const Report& report) {
  std::size_t width = 5;
  std::size_t frames_width = 6;
  for (const EntryReport& entry : report.entries) {
    width = std::max(width, entry.name.size());
    frames_width = std::max(frames_width, frames(entry).size());
  }
  const auto row = [&](const std::string& name, const std::string& status, const std::string& residues,
                       const std::string& counts, const std::string& remark) {
    std::string line = fmt::format("{:<{}}  {:<11}  {:>8}  {:<{}}  {}", name, width, status, residues, counts,
                                   frames_width, remark);
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
  };
  std::string table = row("entry", "status", "residues", "frames", "remarks");
  for (const EntryReport& entry : report.entries)
    table += row(entry.name, status_name(entry.status),
                 entry.sequence.empty() ? "-" : std::to_string(entry.sequence.size()), frames(entry),
                 remarks(entry));
  return table + totals(report);
}

}  // namespace mdgen::prep
