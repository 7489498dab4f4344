// What a run of mdgen-prep did with each entry: as JSON for programs, as a table for people.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mdgen::prep {

enum class Status {
  kConverted,
  kUnchanged,    // all arrays are those that would be made again
  kFailed,       //
  kInterrupted,  // begun, nothing written
  kNotStarted,
};

struct OutputReport {
  std::string file;
  std::string source;
  bool unchanged = false;
  std::string reason;  // why an array that was there has been made anew; "" when there was none
  std::size_t frames_read = 0;
  std::size_t frames = 0;  // in the array
  std::size_t mended = 0;  // frames with broken periodic images
  std::string sha256;
  double seconds = 0;
};

struct EntryReport {
  std::string name;
  Status status = Status::kNotStarted;
  std::string sequence;
  std::vector<OutputReport> outputs;
  std::vector<std::string> notes;  // what was renamed and left out
  std::vector<std::string> warnings;
  std::string error;
  double seconds = 0;  // of all threads that worked on it
};

struct Report {
  std::vector<EntryReport> entries;
  bool interrupted = false;
  double seconds = 0;  // of the run

  std::size_t count(Status status) const;
  // Every entry is converted or unchanged.
  bool good() const;
};

std::string status_name(Status status);

std::string report_json(const Report& report);

// One line an entry, then one of totals.
std::string report_table(const Report& report);

}  // namespace mdgen::prep
