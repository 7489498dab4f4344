#include "core/data/manifest.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/data/draws.h"
#include "core/data/mode_limits.h"
#include "core/data/split.h"
#include "core/format/npy.h"

namespace mdgen::data {
namespace {

constexpr int kReplicas = 3;
constexpr std::size_t kShownNames = 5;
constexpr std::uint32_t kPeptideItems = 1000;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> parts;
  for (const std::int64_t dimension : shape) parts.push_back(std::to_string(dimension));
  return "[" + join(parts, ", ") + "]";
}

// "" when the array is what the entry and the spec need.
std::string header_problem(const format::NpyHeader& header, const SplitRow& row, const v1::DataSpec& data) {
  const auto residues = static_cast<std::int64_t>(row.seqres.size());
  if (header.dtype != "<f2" && header.dtype != "<f4")
    return "dtype '" + header.dtype + "', expected '<f2' or '<f4'";
  if (header.fortran_order) return "the array is in Fortran order, expected C order";
  const auto& shape = header.shape;
  if (shape.size() != 4 || shape[2] != 14 || shape[3] != 3)
    return "shape " + shape_text(shape) + ", expected [frames, residues, 14, 3]";
  if (shape[1] != residues)
    return std::to_string(shape[1]) + " residues, the sequence of " + row.name + " has " +
           std::to_string(residues);
  const std::int32_t interval = data.has_frame_interval() ? data.frame_interval() : 1;
  const std::int64_t frames = frames_at_interval(shape[0], interval);
  if (frames >= data.num_frames()) return "";
  const std::string kept = interval == 1 ? ""
                                         : ", " + std::to_string(frames) + " of them at frame_interval " +
                                               std::to_string(interval);
  return std::to_string(shape[0]) + " frames" + kept + ", num_frames needs at least " +
         std::to_string(data.num_frames());
}

class SplitBuilder {
 public:
  SplitBuilder(const v1::JobSpec& spec, const std::string& split, std::vector<std::string>& warnings,
               Problems& problems)
      : spec_(spec), split_(split), warnings_(warnings), problems_(problems) {}

  v1::Manifest build() {
    v1::Manifest manifest;
    std::vector<SplitRow> rows = split_rows();
    if (spec_.data().overfit() && !rows.empty()) {
      manifest.set_items(static_cast<std::uint32_t>(rows.size()));
      rows.resize(1);
    }
    if (!peptide().empty()) manifest.set_items(kPeptideItems);
    for (const SplitRow& row : rows) {
      if (const auto entry = read_entry(row)) *manifest.add_entries() = *entry;
    }
    check_lengths(manifest);
    warn_of_absent_replicas();
    manifest.set_digest(manifest_digest(manifest));
    return manifest;
  }

 private:
  const std::string& peptide() const { return spec_.data().overfit_peptide(); }

  // The peptide's file is named by its sequence.
  std::vector<SplitRow> split_rows() {
    if (peptide().empty()) return read_split(split_, problems_);
    const std::string problem = sequence_problem(peptide());
    if (problem.empty()) return {{.line = 0, .name = peptide(), .seqres = peptide()}};
    problems_.add("overfit_peptide " + peptide() + ": " + problem);
    return {};
  }

  std::string place(const SplitRow& row) const {
    return peptide().empty() ? split_ + ", line " + std::to_string(row.line) + " (" + row.name + ")"
                             : "overfit_peptide " + row.name;
  }

  std::optional<v1::ManifestEntry> read_entry(const SplitRow& row) {
    v1::ManifestEntry entry;
    entry.set_name(row.name);
    entry.set_seqres(row.seqres);
    entry.set_residues(static_cast<std::int32_t>(row.seqres.size()));
    if (const std::string problem = length_problem(spec_, entry.residues()); !problem.empty()) {
      problems_.add(place(row) + ": " + problem);
      return std::nullopt;
    }
    bool good = true;
    const bool atlas = spec_.data().atlas();
    for (int index = atlas ? 1 : 0; index <= (atlas ? kReplicas : 0); ++index) {
      v1::Replica replica;
      replica.set_index(index);
      replica.set_file(row.name + (atlas ? "_R" + std::to_string(index) : "") + spec_.data().suffix() +
                       ".npy");
      switch (read_replica(row, replica)) {
        case Found::kGood:
          *entry.add_replicas() = replica;
          break;
        case Found::kBad:
          good = false;
          break;
        case Found::kAbsent:
          break;
      }
    }
    if (!good) return std::nullopt;
    if (entry.replicas_size() == 0) {
      problems_.add(absent_text(row));
      return std::nullopt;
    }
    if (atlas && entry.replicas_size() < kReplicas) incomplete_.push_back(row.name);
    return entry;
  }

  enum class Found { kGood, kBad, kAbsent };

  Found read_replica(const SplitRow& row, v1::Replica& replica) {
    const std::string file = array_file(spec_, replica);
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) {
      if (errno == ENOENT) return Found::kAbsent;
      problems_.add(file + ": " + std::strerror(errno));
      return Found::kBad;
    }
    try {
      const format::NpyHeader header = format::read_npy_header(file);
      if (const std::string problem = header_problem(header, row, spec_.data()); !problem.empty()) {
        problems_.add(file + ": " + problem);
        return Found::kBad;
      }
      replica.set_frames(header.shape[0]);
      replica.set_dtype(header.dtype);
    } catch (const std::exception& error) {
      problems_.add(error.what());
      return Found::kBad;
    }
    replica.set_bytes(status.st_size);
    replica.set_mtime_ns(status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec);
    return Found::kGood;
  }

  std::string absent_text(const SplitRow& row) const {
    const std::string tail = spec_.data().suffix() + ".npy";
    const std::string files = spec_.data().atlas() ? "none of " + row.name + "_R1" + tail + ", _R2, _R3 is"
                                                   : row.name + tail + " is not";
    return place(row) + ": " + files + " in " + spec_.data().data_dir();
  }

  void check_lengths(const v1::Manifest& manifest) {
    if (spec_.data().atlas() || spec_.optim().batch_size() < 2 || manifest.entries_size() == 0) return;
    const v1::ManifestEntry& first = manifest.entries(0);
    for (const v1::ManifestEntry& entry : manifest.entries()) {
      if (entry.residues() == first.residues()) continue;
      problems_.add(split_ + ": " + first.name() + " has " + std::to_string(first.residues()) +
                    " residues and " + entry.name() + " has " + std::to_string(entry.residues()) +
                    "; without atlas (crop and pad) all must be equal unless batch_size is 1, not " +
                    std::to_string(spec_.optim().batch_size()));
      return;
    }
  }

  void warn_of_absent_replicas() {
    if (incomplete_.empty()) return;
    const std::size_t shown = std::min(kShownNames, incomplete_.size());
    const std::string warning = split_ + ": " + std::to_string(incomplete_.size()) +
                                (incomplete_.size() == 1 ? " entry has" : " entries have") +
                                " fewer than three replicas; those present are drawn: " +
                                join(std::span(incomplete_).first(shown), ", ") +
                                (incomplete_.size() > shown ? ", …" : "");
    if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end())
      warnings_.push_back(warning);
  }

  const v1::JobSpec& spec_;
  const std::string split_;
  std::vector<std::string>& warnings_;
  Problems& problems_;
  std::vector<std::string> incomplete_;
};

}  // namespace

ManifestResult build_manifest(const v1::JobSpec& resolved) {
  ManifestResult result;
  Problems problems;
  const auto build = [&](const std::string& split) {
    return SplitBuilder(resolved, split, result.warnings, problems).build();
  };
  v1::JobManifest& manifest = result.manifest;
  *manifest.mutable_train() = build(resolved.data().train_split());
  const bool same_set = resolved.data().overfit() || !resolved.data().overfit_peptide().empty();
  if (resolved.loop().no_validate())
    manifest.mutable_val()->set_digest(manifest_digest({}));
  else
    *manifest.mutable_val() = same_set ? manifest.train() : build(resolved.data().val_split());
  problems.throw_if_any();
  manifest.set_digest(sha256_hex(manifest.train().digest() + "\n" + manifest.val().digest() + "\n"));
  return result;
}

std::string manifest_digest(const v1::Manifest& manifest) {
  Sha256 digest;
  digest.update("mdgen manifest 1\n");
  for (const v1::ManifestEntry& entry : manifest.entries()) {
    digest.update("entry " + entry.name() + " " + entry.seqres() + " " + std::to_string(entry.residues()) +
                  "\n");
    for (const v1::Replica& replica : entry.replicas()) {
      digest.update("replica " + std::to_string(replica.index()) + " " +
                    std::filesystem::path(replica.file()).filename().string() + " " +
                    std::to_string(replica.frames()) + " " + replica.dtype() + " " +
                    std::to_string(replica.bytes()) + "\n");
    }
  }
  if (manifest.items() > 0) digest.update("items " + std::to_string(manifest.items()) + "\n");
  return digest.hex();
}

std::string array_file(const v1::JobSpec& resolved, const v1::Replica& replica) {
  return (std::filesystem::path(resolved.data().data_dir()) / replica.file()).string();
}

}  // namespace mdgen::data
