#include "services/coordinator/sample_data.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/data/window_reader.h"

namespace mdgen::coordinator {
namespace {

using format::BackboneAtoms;

constexpr std::int64_t kMostFrames = 1024;
constexpr std::int64_t kMostWindows = 16;
constexpr std::size_t kValuesPerResidue = 14 * 3;
constexpr std::size_t kBackbone = 3;  // N, CA and C come first in atom14

struct Match {
  const v1::ManifestEntry* entry = nullptr;
  std::vector<const v1::Replica*> replicas;
  std::string source;
};

std::optional<Match> match_in(const v1::Manifest& manifest, const std::string& name) {
  for (const v1::ManifestEntry& entry : manifest.entries()) {
    if (!name.starts_with(entry.name())) continue;
    Match match{.entry = &entry, .replicas = {}, .source = name};
    for (const v1::Replica& replica : entry.replicas()) {
      const bool meant =
          name == entry.name() || name == entry.name() + "_R" + std::to_string(replica.index());
      if (meant) match.replicas.push_back(&replica);
    }
    if (!match.replicas.empty()) return match;
  }
  return std::nullopt;
}

Match match_of(const v1::JobManifest& manifest, const std::string& name) {
  for (const v1::Manifest* set : {&manifest.val(), &manifest.train()})
    if (auto match = match_in(*set, name)) return *std::move(match);
  throw Error(ErrorCode::kNotFound, "sample " + name + ": the job's data sets have no such entry");
}

// Which residues of the entry the sample shows.
data::Block residues_of(const v1::ManifestEntry& entry, const std::string& sequence, DataWindows& result) {
  const std::size_t first = entry.seqres().find(sequence);
  data::Block block{.residues = static_cast<std::int32_t>(sequence.size())};
  if (first == std::string::npos) {
    result.same_residues = static_cast<std::int32_t>(sequence.size()) == entry.residues();
    result.note = "The sample's sequence is not that of " + entry.name() +
                  ": it is shown beside all of its " + std::to_string(entry.residues()) + " residues.";
    block.residues = entry.residues();
    return block;
  }
  if (entry.seqres().find(sequence, first + 1) != std::string::npos)
    result.note =
        "The sample's sequence lies more than once in " + entry.name() + "; the first place is shown.";
  block.first_residue = static_cast<std::int32_t>(first);
  return block;
}

std::vector<BackboneAtoms> backbone_of(const std::vector<float>& atom14) {
  std::vector<BackboneAtoms> atoms(atom14.size() / kValuesPerResidue);
  for (std::size_t i = 0; i < atoms.size(); ++i)
    for (std::size_t atom = 0; atom < kBackbone; ++atom)
      for (std::size_t axis = 0; axis < 3; ++axis)
        atoms[i][atom][axis] = atom14[i * kValuesPerResidue + atom * 3 + axis];
  return atoms;
}

}  // namespace

DataWindows read_data_windows(const v1::JobManifest& manifest, const std::filesystem::path& data_dir,
                              const std::string& name, const std::string& sequence, std::int64_t frames,
                              std::int32_t stride) {
  const Match match = match_of(manifest, name);
  DataWindows result{.source = match.source, .frames = frames, .windows = {}, .note = {}};
  data::Block block = residues_of(*match.entry, sequence, result);
  block.frame_stride = std::max(stride, 1);
  std::int64_t shortest = kMostFrames;
  for (const v1::Replica* replica : match.replicas)
    shortest = std::min(shortest, (replica->frames() + block.frame_stride - 1) / block.frame_stride);
  block.frames = result.frames = std::min(frames, shortest);
  const auto replicas = static_cast<std::int64_t>(match.replicas.size());
  const std::int64_t most = std::clamp(kMostFrames / block.frames, replicas, kMostWindows);
  const std::int64_t each = std::max<std::int64_t>(1, most / replicas);
  for (const v1::Replica* replica : match.replicas) {
    const std::int64_t span = (block.frames - 1) * block.frame_stride + 1;
    const std::int64_t here = std::clamp<std::int64_t>(replica->frames() / span, 1, each);
    for (std::int64_t i = 0; i < here; ++i) {
      block.first_frame = here == 1 ? 0 : i * (replica->frames() - span) / (here - 1);
      result.windows.push_back(backbone_of(
          data::read_block((data_dir / replica->file()).string(), *replica, match.entry->residues(), block)));
    }
  }
  return result;
}

}  // namespace mdgen::coordinator
