// One entry on its way from files to arrays.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/prep/convert.h"
#include "core/prep/inputs.h"
#include "core/prep/record.h"
#include "core/prep/report.h"
#include "core/prep/run.h"

namespace mdgen::prep {

// Thrown into a conversion that has to end.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

// locate(), then plan(), then convert() for each part, in any order and by any threads, then end(). None of
// them throws: what goes wrong is in report().
class EntryWork {
 public:
  EntryWork(std::string name, const RunOptions& options);

  // Finds the files.
  void locate();
  std::size_t trajectories() const { return entry_.sources.size(); }
  std::uint64_t bytes() const { return bytes_; }  // of the trajectories

  // Leaves out what is finished; reads the topology when something is left. `seqres`: what the sequence must
  // be.
  void plan(const std::optional<std::string>& seqres, const std::atomic<bool>& stop);
  std::size_t parts() const { return parts_.size(); }  // trajectories to convert
  std::uint64_t part_bytes(std::size_t part) const { return parts_[part].bytes; }

  // True when this was the last part.
  bool convert(std::size_t part, const OnFrame& on_frame);

  // Publishes all arrays, or none when something went wrong.
  void end();

  bool failed() const;
  const EntryReport& report() const { return report_; }

 private:
  struct Part {
    std::size_t source = 0;  // and of the report's outputs
    std::uint64_t bytes = 0;
    FileIdentity trajectory;
    std::optional<Converted> converted;
  };

  void find_unfinished();
  void read_selection(const std::optional<std::string>& seqres);
  void publish();
  Record record(const Part& part) const;
  void name_older_arrays();
  // Runs `step` and keeps what it throws.
  template <typename Step>
  void guard(Step step);

  const RunOptions& options_;
  Entry entry_;
  std::uint64_t bytes_ = 0;
  FileIdentity topology_;
  Selection selection_;
  std::set<std::string> residue_names_;
  std::vector<Part> parts_;
  std::atomic<std::size_t> parts_left_ = 0;
  mutable std::mutex mutex_;  // the report, while parts are converted
  EntryReport report_;
  bool interrupted_ = false;
};

}  // namespace mdgen::prep
