#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/files.h"
#include "core/checkpoint/model_layout.h"
#include "core/config/spec.h"
#include "core/model/latent_model.h"
#include "core/train/optimizer.h"

namespace mdgen::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

v1::JobSpec spec_of(const std::string& flags) {
  std::vector<std::string> words;
  std::istringstream stream(flags);
  for (std::string word; stream >> word;) words.push_back(word);
  v1::JobSpec spec = config::default_spec();
  config::apply_flags(spec, words);
  return spec;
}

// What is read and written without a model is what the model has, in every mode.
TEST(ModelLayout, EveryMode_IsTheModelsOwn) {
  const Json facts =
      Json::parse(read_file(MDGEN_SOURCE_DIR "/tests/core/checkpoint/reference_state_dicts.json"));
  for (const Json& known : facts["cases"]) {
    SCOPED_TRACE(known["case"].get<std::string>());
    const v1::JobSpec spec = spec_of(known["flags"]);
    model::LatentModel model(model::model_config(spec));
    std::map<std::string, std::vector<std::int64_t>> of_model, of_layout;
    for (const auto& [name, tensor] : train::state_dict(*model)) of_model[name] = tensor.sizes().vec();
    std::set<std::string> learned_by_model, learned_in_layout;
    for (const auto& [name, tensor] : train::trainable(*model)) learned_by_model.insert(name);
    const ModelLayout layout = model_layout(spec);
    for (const LayoutTensor& tensor : layout) of_layout[tensor.name] = tensor.shape;
    for (const std::string& name : parameter_names(layout)) learned_in_layout.insert(name);
    EXPECT_EQ(of_model, of_layout);
    EXPECT_EQ(learned_by_model, learned_in_layout);
  }
}

}  // namespace
}  // namespace mdgen::checkpoint
