#include "services/coordinator/sample_pictures.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/json.h"
#include "core/data/manifest_file.h"
#include "core/format/backbone_pdb.h"
#include "core/protein/residue_constants.h"
#include "core/sample/backbone.h"
#include "services/coordinator/sample_data.h"

namespace mdgen::coordinator {
namespace {

using config::Json;
using sample::Ramachandran;

constexpr std::size_t kMostKept = 32;
constexpr std::size_t kMostBytes = 128UL << 20;

std::optional<SampleFile> sample_of(const std::string& file) {
  constexpr std::string_view kBefore = "epoch", kAfter = ".pdb";
  if (!file.starts_with(kBefore) || !file.ends_with(kAfter)) return std::nullopt;
  SampleFile sample{.file = file, .name = {}};
  const char* end = file.data() + file.size() - kAfter.size();
  const auto [rest, error] = std::from_chars(file.data() + kBefore.size(), end, sample.epoch);
  if (error != std::errc() || rest == end || *rest != '_' || sample.epoch < 0) return std::nullopt;
  sample.name.assign(rest + 1, end);
  return sample.name.empty() ? std::nullopt : std::optional(sample);
}

Json histogram_json(const Ramachandran& histogram) {
  return {{"bins", histogram.bins()}, {"counts", histogram.counts()}, {"total", histogram.total()}};
}

void add_frames(std::span<const format::BackboneAtoms> atoms, std::size_t residues, Ramachandran& histogram) {
  for (std::size_t first = 0; first < atoms.size(); first += residues)
    histogram.add(atoms.subspan(first, residues));
}

std::string letters(const std::vector<std::string>& residues) {
  std::string text;
  for (const std::string& name : residues) {
    const int type = protein::residue_type_by_name(name);
    text += type < 0 ? 'X' : protein::kResidueLetters[static_cast<std::size_t>(type)];
  }
  return text;
}

// The mean of windows' fluctuations; null when they are of other residues than the sample's.
Json mean_rmsf(const DataWindows& data, std::size_t residues) {
  if (!data.same_residues) return nullptr;
  std::vector<double> mean(residues);
  for (const auto& window : data.windows) {
    const std::vector<double> one = sample::backbone_rmsf(window, residues);
    for (std::size_t i = 0; i < residues; ++i) mean[i] += one[i] / static_cast<double>(data.windows.size());
  }
  return mean;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

void compare(const v1::Job& job, const SampleFile& sample, const format::BackboneFrames& frames,
             const Ramachandran& sampled, Json& picture) {
  const v1::DataSpec& spec = job.spec().data();
  const DataWindows data =
      read_data_windows(data::read_manifest(job.run_folder(), job.manifest_digest()), spec.data_dir(),
                        sample.name, letters(frames.residues), static_cast<std::int64_t>(frames.frames()),
                        spec.has_frame_interval() ? spec.frame_interval() : 1);
  Ramachandran histogram;
  const auto residues = data.windows.front().size() / static_cast<std::size_t>(data.frames);
  for (const auto& window : data.windows) add_frames(window, residues, histogram);
  picture["jensen_shannon"] = number(sample::jensen_shannon(sampled, histogram));
  picture["note"] = to_utf8(data.note);
  picture["training"] = {{"source", to_utf8(data.source)},
                         {"frames", data.frames * static_cast<std::int64_t>(data.windows.size())},
                         {"ramachandran", histogram_json(histogram)},
                         {"rmsf", mean_rmsf(data, residues)}};
}

// Changes when the file does.
std::string key_of(const v1::Job& job, const std::filesystem::path& file) {
  std::error_code ignored;
  return job.id() + "\n" + file.string() + "\n" + std::to_string(std::filesystem::file_size(file, ignored)) +
         "\n" + std::to_string(std::filesystem::last_write_time(file, ignored).time_since_epoch().count());
}

}  // namespace

std::vector<SampleFile> list_samples(const std::filesystem::path& run_folder, std::size_t most) {
  std::vector<SampleFile> samples;
  std::error_code error;
  std::filesystem::directory_iterator entry(run_folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(entry->symlink_status(ignored))) continue;
    if (auto sample = sample_of(entry->path().filename().string())) samples.push_back(*std::move(sample));
  }
  std::sort(samples.begin(), samples.end(), [](const SampleFile& a, const SampleFile& b) {
    return std::tie(b.epoch, a.name) < std::tie(a.epoch, b.name);
  });
  if (samples.size() > most) samples.resize(most);
  return samples;
}

std::string SamplePictures::get(const v1::Job& job, const std::string& file) {
  const std::vector<SampleFile> samples = list_samples(job.run_folder());
  Json list = Json::array();
  for (const SampleFile& sample : samples)
    list.push_back({{"file", to_utf8(sample.file)}, {"name", to_utf8(sample.name)}, {"epoch", sample.epoch}});
  const auto wanted = std::find_if(samples.begin(), samples.end(), [&](const SampleFile& sample) {
    return file.empty() || to_utf8(sample.file) == file;
  });
  if (wanted == samples.end() && !file.empty())
    throw Error(ErrorCode::kNotFound, "job " + job.id() + " has no sample " + file);
  const std::string drawn = wanted == samples.end() ? "null" : picture(job, *wanted);
  return R"({"samples":)" + list.dump() + R"(,"picture":)" + drawn + "}";
}

std::string SamplePictures::picture(const v1::Job& job, const SampleFile& sample) {
  const std::filesystem::path file = std::filesystem::path(job.run_folder()) / sample.file;
  const std::string key = key_of(job, file);
  const std::lock_guard lock(mutex_);
  const auto known =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.key == key; });
  if (known != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, known);
    return known->json;
  }
  const format::BackboneFrames frames = format::read_backbone(file, kMostBytes);
  Ramachandran sampled;
  add_frames(frames.atoms, frames.residues.size(), sampled);
  Json made = {{"file", to_utf8(sample.file)},
               {"frames", frames.frames()},
               {"residues", frames.residues.size()},
               {"ramachandran", histogram_json(sampled)},
               {"rmsf", sample::backbone_rmsf(frames.atoms, frames.residues.size())},
               {"jensen_shannon", nullptr},
               {"note", ""},
               {"training", nullptr}};
  try {
    compare(job, sample, frames, sampled, made);
  } catch (const Error& error) {
    made["note"] = "Without the data to compare with: " + to_utf8(error.what());
    if (error.code() == ErrorCode::kUnavailable) return made.dump();  // it may be there the next time
  }
  kept_.push_front({key, made.dump()});
  if (kept_.size() > kMostKept) kept_.pop_back();
  return kept_.front().json;
}

}  // namespace mdgen::coordinator
