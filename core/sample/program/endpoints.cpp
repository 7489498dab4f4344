#include "core/sample/program/endpoints.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/philox.h"

namespace mdgen::sample {
namespace {

using Json = nlohmann::ordered_json;

// A draw kind beside those of core/data/draws.h, in the same place of the counter.
constexpr std::uint32_t kEndpointDraw = 0x40;

PhiloxCounter draw(std::uint64_t seed, std::uint32_t sample) {
  return philox4x32({0, sample, kEndpointDraw << 24, 0}, philox_key(seed));
}

std::int64_t resolve(std::int64_t frame, std::int64_t frames, const char* what) {
  const std::int64_t resolved = frame < 0 ? frame + frames : frame;
  if (resolved < 0 || resolved >= frames)
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + " " + std::to_string(frame) +
                                                 ": the array has " + std::to_string(frames) +
                                                 " frames, from 0");
  return resolved;
}

std::vector<std::int64_t> set_of(const Json& entry, const char* key) {
  const Json& value = entry.at(key);
  std::vector<std::int64_t> set;
  if (value.is_array())
    for (const Json& number : value) set.push_back(number.get<std::int64_t>());
  else
    set.push_back(value.get<std::int64_t>());
  if (set.empty()) throw std::invalid_argument(std::string(key) + " is empty");
  return set;
}

FramePair pair_of(const Json& record, bool needs_end) {
  FramePair pair{.start = record.at("start_idx").get<std::int64_t>(), .end = 0, .states = Json::object()};
  if (needs_end) pair.end = record.at("end_idx").get<std::int64_t>();
  for (const char* key : {"start_state", "end_state"})
    if (record.contains(key)) pair.states[key] = record.at(key);
  return pair;
}

}  // namespace

Endpoints Endpoints::sets(std::vector<std::int64_t> start, std::vector<std::int64_t> end) {
  Endpoints endpoints;
  endpoints.start_ = std::move(start);
  endpoints.end_ = std::move(end);
  endpoints.has_end_ = !endpoints.end_.empty();
  return endpoints;
}

Endpoints Endpoints::from_json(const std::string& text, const std::string& source, const std::string& name,
                               bool needs_end) {
  try {
    const Json json = Json::parse(text);
    Endpoints endpoints;
    if (json.is_array()) {
      for (const Json& record : json)
        if (record.at("name").get<std::string>() == name)
          endpoints.pairs_.push_back(pair_of(record, needs_end));
      endpoints.has_end_ = needs_end;
    } else if (json.is_object() && json.contains(name)) {
      const Json& entry = json.at(name);
      endpoints = sets(set_of(entry, "start_idx"),
                       needs_end ? set_of(entry, "end_idx") : std::vector<std::int64_t>());
    } else if (!json.is_object()) {
      throw std::invalid_argument("an object or a list is expected");
    }
    if (endpoints.pairs_.empty() && endpoints.start_.empty())
      throw Error(ErrorCode::kNotFound, source + " has no frames for " + name);
    return endpoints;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInvalidArgument,
                source +
                    R"(: {"NAME": {"start_idx": 0, "end_idx": [90, 95]}} or a list of records with name, )"
                    "start_idx and end_idx is expected: " +
                    error.what());
  }
}

Endpoints Endpoints::read(const std::filesystem::path& file, const std::string& name, bool needs_end) {
  const std::filesystem::path source =
      std::filesystem::is_directory(file) ? file / (name + "_metadata.json") : file;
  return from_json(read_file(source), source.string(), name, needs_end);
}

FramePair Endpoints::pair(std::uint64_t seed, std::uint32_t sample, std::int64_t frames) const {
  FramePair chosen;
  if (!pairs_.empty()) {
    chosen = pairs_[sample % pairs_.size()];
  } else {
    const PhiloxCounter words = draw(seed, sample);
    chosen.start = start_[uniform_below(words[0], words[1], start_.size())];
    if (has_end_) chosen.end = end_[uniform_below(words[2], words[3], end_.size())];
  }
  chosen.start = resolve(chosen.start, frames, "start_idx");
  if (has_end_) chosen.end = resolve(chosen.end, frames, "end_idx");
  return chosen;
}

std::int64_t draw_start(std::uint64_t seed, std::uint32_t sample, std::int64_t count) {
  const PhiloxCounter words = draw(seed, sample);
  return static_cast<std::int64_t>(uniform_below(words[0], words[1], static_cast<std::uint64_t>(count)));
}

}  // namespace mdgen::sample
