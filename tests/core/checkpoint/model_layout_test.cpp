#include "core/checkpoint/model_layout.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/files.h"
#include "core/config/spec.h"

namespace mdgen::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

// Taken down from the reference's own state_dict().
const Json& facts() {
  static const Json json =
      Json::parse(read_file(MDGEN_SOURCE_DIR "/tests/core/checkpoint/reference_state_dicts.json"));
  return json;
}

v1::JobSpec spec_of(const std::string& flags) {
  std::vector<std::string> words;
  std::istringstream stream(flags);
  for (std::string word; stream >> word;) words.push_back(word);
  v1::JobSpec spec = config::default_spec();
  config::apply_flags(spec, words);
  return spec;
}

TEST(ModelLayout, EveryMode_NamesShapesAndOrderAreTheReferences) {
  ASSERT_GE(facts()["cases"].size(), 13U);
  for (const Json& known : facts()["cases"]) {
    SCOPED_TRACE(known["case"].get<std::string>());
    const ModelLayout layout = model_layout(spec_of(known["flags"]));
    Json ours = Json::array();
    for (const LayoutTensor& tensor : layout) {
      Json row = Json::array({tensor.name});
      for (const std::int64_t size : tensor.shape) row.push_back(size);
      ours.push_back(row);
    }
    EXPECT_EQ(ours, known["tensors"]);
  }
}

TEST(ModelLayout, FullSizes_HaveThePublishedNumbersOfParameters) {
  const auto count = [](const std::string& flags) {
    std::int64_t total = 0;
    for (const LayoutTensor& tensor : model_layout(spec_of(flags))) {
      std::int64_t items = 1;
      for (const std::int64_t size : tensor.shape) items *= size;
      if (tensor.role == LayoutTensor::Role::kParameter) total += items;
    }
    return total;
  };
  EXPECT_EQ(count("--sim_condition --prepend_ipa --num_frames 250 --atlas"), 34'152'521);
  EXPECT_EQ(count("--tps_condition --prepend_ipa --num_frames 100 --abs_pos_emb --crop 4"), 34'166'736);
}

TEST(ModelLayout, TiedFrequencies_CountOnceInTheOptimizersOrder) {
  const ModelLayout layout = model_layout(spec_of("--sim_condition --hyena --num_layers 1"));
  std::size_t tied = 0;
  for (const LayoutTensor& tensor : layout) {
    if (tensor.role != LayoutTensor::Role::kTied) continue;
    ++tied;
    EXPECT_EQ(tensor.tied_to, "layers.0.mha_t.filter_fn.implicit_filter.1.freq");
  }
  EXPECT_EQ(tied, 2U);
  const std::vector<std::string> names = parameter_names(layout);
  EXPECT_EQ(std::count(names.begin(), names.end(), "layers.0.mha_t.filter_fn.implicit_filter.1.freq"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "layers.0.mha_t.filter_fn.implicit_filter.3.freq"), 0);
  EXPECT_EQ(names.front(), "latent_to_emb.weight");
}

}  // namespace
}  // namespace mdgen::checkpoint
