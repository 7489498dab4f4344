#include "core/train/loop_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace mdgen::train {
namespace {

using Json = nlohmann::ordered_json;

// A sum may be infinite, which JSON's numbers cannot be.
Json words_of(const BatchMeans& means) {
  Json words = Json::array();
  for (const double word : means.pack()) {
    if (std::isfinite(word)) {
      words.push_back(word);
    } else {
      words.push_back(std::isnan(word) ? "nan" : (word > 0 ? "inf" : "-inf"));
    }
  }
  return words;
}

BatchMeans means_of(const Json& list) {
  std::array<double, BatchMeans::kWords> words{};
  if (list.size() != words.size()) return {};  // another version's: averages begin anew
  std::transform(list.begin(), list.end(), words.begin(), [](const Json& word) {
    return word.is_string() ? std::stod(word.get<std::string>()) : word.get<double>();
  });
  return BatchMeans::unpack(words);
}

}  // namespace

std::string to_json(const LoopState& state) {
  return Json{{"skipped_in_a_row", state.skipped_in_a_row},
              {"batches", state.batches},
              {"boundary", state.boundary},
              {"total_steps", state.total_steps},
              {"bad_epoch", state.bad_epoch},
              {"bad_samples", state.bad_samples},
              {"precision", state.precision},
              {"iter", words_of(state.iter)},
              {"train", words_of(state.train)}}
      .dump();
}

LoopState loop_state_from_json(const std::string& text) {
  if (text.empty()) return {};
  try {
    const Json json = Json::parse(text);
    LoopState state;
    state.skipped_in_a_row = json.at("skipped_in_a_row").get<std::int64_t>();
    state.batches = json.at("batches").get<std::int64_t>();
    state.boundary = json.value("boundary", std::numeric_limits<std::int64_t>::max());
    state.total_steps = json.at("total_steps").get<std::int64_t>();
    state.bad_epoch = json.value("bad_epoch", std::int64_t{0});  // unknown to older checkpoints
    state.bad_samples = json.value("bad_samples", std::int64_t{0});
    state.precision = json.value("precision", "");
    state.iter = means_of(json.at("iter"));
    state.train = means_of(json.at("train"));
    return state;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kDataLoss,
                std::string("the checkpoint's loop state cannot be read: ") + error.what());
  }
}

}  // namespace mdgen::train
