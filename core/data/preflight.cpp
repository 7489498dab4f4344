#include "core/data/preflight.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/array_check.h"
#include "core/data/manifest.h"
#include "core/data/mode_limits.h"
#include "core/data/split.h"

namespace mdgen::data {
namespace {

constexpr int kReplicas = 3;
constexpr std::size_t kShownNames = 5;
constexpr std::uint32_t kPeptideItems = 1000;

// One file that an entry may have, and what was found.
struct Array {
  const SplitRow* row = nullptr;
  v1::Replica replica;
  bool present = false;
  std::string problem;
};

void open_array(const v1::JobSpec& spec, Array& array) {
  const std::string file = array_file(spec, array.replica);
  try {
    const format::NpyFile open(file);
    array.present = true;
    const auto residues = static_cast<std::int64_t>(array.row->seqres.size());
    const std::string problem = header_problem(open.header(), array.row->name, residues, spec.data());
    if (problem.empty()) {
      describe_array(open, array.replica);
    } else {
      array.problem = file + ": " + problem;
    }
  } catch (const Error& error) {
    std::error_code ignored;
    const bool absent = error.code() == ErrorCode::kNotFound && !std::filesystem::is_symlink(file, ignored);
    array.present = !absent;
    if (!absent) array.problem = error.what();
  }
}

// "" when the folder is there. A link to one is as good.
std::string folder_problem(const std::string& folder) {
  std::error_code error;
  const auto kind = std::filesystem::status(folder, error).type();
  if (kind == std::filesystem::file_type::directory) return "";
  const std::string reason = kind == std::filesystem::file_type::not_found ? "no such folder"
                             : error                                       ? error.message()
                                                                           : "no folder";
  return "data_dir " + folder + ": " + reason;
}

// One split: its rows first, then its arrays (opened by somebody else), then its manifest.
class SplitExaminer {
 public:
  SplitExaminer(const v1::JobSpec& spec, std::string split)
      : spec_(spec), split_(std::move(split)), peptide_(spec.data().overfit_peptide()) {}

  // Fills `arrays` with what is to be opened; they stay in order.
  void read_rows(std::deque<Array>& arrays, Problems& problems) {
    rows_ = split_rows(problems);
    if (spec_.data().overfit() && !rows_.empty()) {
      items_ = static_cast<std::uint32_t>(rows_.size());
      rows_.resize(1);
    }
    if (!peptide_.empty()) items_ = kPeptideItems;
    const bool atlas = spec_.data().atlas();
    for (const SplitRow& row : rows_) {
      arrays_.emplace_back();
      if (!length_problem(spec_, static_cast<std::int32_t>(row.seqres.size())).empty()) continue;
      for (int index = atlas ? 1 : 0; index <= (atlas ? kReplicas : 0); ++index)
        arrays_.back().push_back(&arrays.emplace_back(Array{&row, replica(row, index), false, ""}));
    }
  }

  v1::Manifest manifest(std::vector<std::string>& warnings, Problems& problems) const {
    v1::Manifest manifest;
    std::vector<std::string> incomplete;
    if (items_ > 0) manifest.set_items(items_);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      auto entry = make_entry(rows_[i], arrays_[i], problems);
      if (!entry) continue;
      if (spec_.data().atlas() && entry->replicas_size() < kReplicas) incomplete.push_back(entry->name());
      *manifest.add_entries() = std::move(*entry);
    }
    check_lengths(manifest, problems);
    if (!incomplete.empty()) warnings.push_back(incomplete_text(incomplete));
    manifest.set_digest(manifest_digest(manifest));
    return manifest;
  }

 private:
  // The peptide's file is named by its sequence.
  std::vector<SplitRow> split_rows(Problems& problems) const {
    if (peptide_.empty()) return read_split(split_, problems);
    const std::string problem = sequence_problem(peptide_);
    if (problem.empty()) return {{.line = 0, .name = peptide_, .seqres = peptide_}};
    problems.add("overfit_peptide " + peptide_ + ": " + problem);
    return {};
  }

  v1::Replica replica(const SplitRow& row, int index) const {
    v1::Replica replica;
    replica.set_index(index);
    replica.set_file(row.name + (index > 0 ? "_R" + std::to_string(index) : "") + spec_.data().suffix() +
                     ".npy");
    return replica;
  }

  std::string place(const SplitRow& row) const {
    return peptide_.empty() ? split_ + ", line " + std::to_string(row.line) + " (" + row.name + ")"
                            : "overfit_peptide " + row.name;
  }

  std::optional<v1::ManifestEntry> make_entry(const SplitRow& row, const std::vector<const Array*>& arrays,
                                              Problems& problems) const {
    v1::ManifestEntry entry;
    entry.set_name(row.name);
    entry.set_seqres(row.seqres);
    entry.set_residues(static_cast<std::int32_t>(row.seqres.size()));
    if (const std::string problem = length_problem(spec_, entry.residues()); !problem.empty()) {
      problems.add(place(row) + ": " + problem);
      return std::nullopt;
    }
    bool good = true;
    for (const Array* array : arrays) {
      if (!array->problem.empty()) problems.add(array->problem);
      good &= array->problem.empty();
      if (array->present) *entry.add_replicas() = array->replica;
    }
    if (entry.replicas_size() == 0) problems.add(absent_text(row));
    return good && entry.replicas_size() > 0 ? std::optional(std::move(entry)) : std::nullopt;
  }

  std::string absent_text(const SplitRow& row) const {
    const std::string tail = spec_.data().suffix() + ".npy";
    const std::string files = spec_.data().atlas() ? "none of " + row.name + "_R1" + tail + ", _R2, _R3 is"
                                                   : row.name + tail + " is not";
    return place(row) + ": " + files + " in " + spec_.data().data_dir();
  }

  void check_lengths(const v1::Manifest& manifest, Problems& problems) const {
    if (spec_.data().atlas() || spec_.optim().batch_size() < 2 || manifest.entries_size() == 0) return;
    const v1::ManifestEntry& first = manifest.entries(0);
    for (const v1::ManifestEntry& entry : manifest.entries()) {
      if (entry.residues() == first.residues()) continue;
      problems.add(split_ + ": " + first.name() + " has " + std::to_string(first.residues()) +
                   " residues and " + entry.name() + " has " + std::to_string(entry.residues()) +
                   "; without atlas (crop and pad) all must be equal unless batch_size is 1, not " +
                   std::to_string(spec_.optim().batch_size()));
      return;
    }
  }

  std::string incomplete_text(const std::vector<std::string>& names) const {
    const std::size_t shown = std::min(kShownNames, names.size());
    return split_ + ": " + std::to_string(names.size()) +
           (names.size() == 1 ? " entry has" : " entries have") +
           " fewer than three replicas; those present are drawn: " +
           join(std::span(names).first(shown), ", ") + (names.size() > shown ? ", …" : "");
  }

  const v1::JobSpec& spec_;
  const std::string split_;
  const std::string& peptide_;
  std::vector<SplitRow> rows_;
  std::vector<std::vector<const Array*>> arrays_;  // by row
  std::uint32_t items_ = 0;
};

}  // namespace

v1::Preflight examine_data(const v1::JobSpec& resolved, const PreflightOptions& options) {
  const v1::DataSpec& data = resolved.data();
  const bool own_val = !resolved.loop().no_validate() && !data.overfit() && data.overfit_peptide().empty();
  Problems problems;
  std::deque<Array> arrays;
  std::deque<SplitExaminer> splits;
  splits.emplace_back(resolved, data.train_split());
  if (own_val) splits.emplace_back(resolved, data.val_split());
  for (SplitExaminer& split : splits) split.read_rows(arrays, problems);
  const std::string no_folder = folder_problem(data.data_dir());
  if (!no_folder.empty()) {
    v1::Preflight found;
    problems.add(no_folder);
    *found.mutable_problems() = {problems.texts().begin(), problems.texts().end()};
    return found;
  }

  const auto open = [&](std::size_t i) { open_array(resolved, arrays[i]); };
  if (!parallel_for(arrays.size(), options.threads, open, options.progress))
    throw Error(ErrorCode::kAborted, "the examination of the data set was ended before its end");

  v1::Preflight found;
  v1::JobManifest& manifest = *found.mutable_manifest();
  std::vector<std::string> warnings;
  *manifest.mutable_train() = splits.front().manifest(warnings, problems);
  if (own_val) {
    *manifest.mutable_val() = splits.back().manifest(warnings, problems);
  } else if (resolved.loop().no_validate()) {
    manifest.mutable_val()->set_digest(manifest_digest({}));
  } else {
    *manifest.mutable_val() = manifest.train();
  }
  manifest.set_digest(job_manifest_digest(manifest));
  for (const std::string& warning : warnings)
    if (std::find(found.warnings().begin(), found.warnings().end(), warning) == found.warnings().end())
      found.add_warnings(warning);
  *found.mutable_problems() = {problems.texts().begin(), problems.texts().end()};
  found.set_arrays(std::count_if(arrays.begin(), arrays.end(), [](const Array& one) { return one.present; }));
  return found;
}

}  // namespace mdgen::data
