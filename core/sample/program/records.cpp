#include "core/sample/program/records.h"

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::sample {
namespace fs = std::filesystem;
namespace {

// The settings that differ, as "seed 1 (asked for: 2)"; "" for none.
std::string differences(const Json& record, const Json& settings) {
  std::string text;
  for (const auto& [key, wanted] : settings.items()) {
    const Json found = record.value(key, Json());
    if (found == wanted) continue;
    text += (text.empty() ? "" : ", ") + key + " " + found.dump() + " (asked for: " + wanted.dump() + ")";
  }
  return text;
}

}  // namespace

Records::Records(fs::path folder, std::string name, Common common, bool overwrite)
    : folder_(std::move(folder)), name_(std::move(name)), common_(std::move(common)) {
  if (overwrite) {
    fs::remove(metadata());
    fs::remove(progress());
    return;
  }
  published_ = fs::exists(metadata());
  if (published_) take_over(metadata());
  if (fs::exists(progress())) take_over(progress());
}

void Records::take_over(const fs::path& file) {
  try {
    const Json list = Json::parse(read_file(file));
    for (const Json& record : list) {
      const std::string other = differences(record, common_.settings);
      if (!other.empty())
        throw Error(ErrorCode::kAlreadyExists, file.string() + " is of other samples: " + other +
                                                   "; take another --out_dir, or --overwrite");
      finished_[record.at("sample").get<std::uint32_t>()] = record;
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, file.string() + " is no list of samples: " + error.what());
  }
}

bool Records::has(std::uint32_t sample) const {
  const auto found = finished_.find(sample);
  if (found == finished_.end()) return false;
  for (const auto& [key, value] : found->second.items()) {
    if (key.ends_with("path") && !fs::exists(folder_ / fs::path(value.get<std::string>()).filename()))
      return false;
  }
  return true;
}

bool Records::complete(std::uint32_t samples) const {
  if (!published_) return false;
  for (std::uint32_t sample = 0; sample < samples; ++sample)
    if (!has(sample)) return false;
  return true;
}

void Records::add(std::uint32_t sample, const Json& own) {
  Json record = {{"name", name_}, {"sample", sample}};
  for (const Json& part : {own, common_.settings, common_.information}) record.update(part);
  finished_[sample] = std::move(record);
}

std::string Records::text() const {
  std::string text = "[";
  for (const auto& [sample, record] : finished_) text += (text.size() > 1 ? ",\n " : "") + record.dump();
  return text + "]\n";
}

void Records::save_progress() const { replace_file(progress(), text()); }

void Records::publish() {
  replace_file(metadata(), text());
  fs::remove(progress());
  published_ = true;
}

}  // namespace mdgen::sample
