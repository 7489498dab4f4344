// The model alone against the reference's: golden conditioning and noisy latents in, golden output out.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "core/format/safetensors.h"
#include "core/model/latent_model.h"

namespace mdgen::model {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 2e-5;

class GoldenFile {
 public:
  explicit GoldenFile(const fs::path& file) : source_(file) {
    std::istringstream words(source_.metadata().contains("flags") ? source_.metadata().at("flags") : "");
    for (std::string word; words >> word;) flags_.push_back(word);
  }
  bool has(const std::string& name) const { return source_.tensors().contains(name); }
  bool flag(const std::string& name) const {
    return std::find(flags_.begin(), flags_.end(), "--" + name) != flags_.end();
  }
  int number(const std::string& name, int standard) const {
    const auto found = std::find(flags_.begin(), flags_.end(), "--" + name);
    return found == flags_.end() ? standard : std::stoi(*std::next(found));
  }
  at::Tensor at(const std::string& name) const {
    const format::TensorInfo& info = source_.tensors().at(name);
    at::Tensor tensor = at::empty(info.shape, info.dtype == "I64" ? at::kLong : at::kFloat);
    std::memcpy(tensor.data_ptr(), source_.bytes(name).data(), tensor.nbytes());
    return tensor;
  }
  std::set<std::string> parameters() const {
    std::set<std::string> names;
    for (const auto& [name, info] : source_.tensors()) {
      if (name.starts_with("param.")) names.insert(name.substr(6));
    }
    return names;
  }

 private:
  format::SafetensorsFile source_;
  std::vector<std::string> flags_;
};

ModelConfig config_of(const GoldenFile& golden) {
  ModelConfig config;
  config.embed_dim = golden.number("embed_dim", config.embed_dim);
  config.mha_heads = golden.number("mha_heads", config.mha_heads);
  config.num_layers = golden.number("num_layers", config.num_layers);
  config.ipa_heads = golden.number("ipa_heads", config.ipa_heads);
  config.ipa_head_dim = golden.number("ipa_head_dim", config.ipa_head_dim);
  config.ipa_qk = golden.number("ipa_qk", config.ipa_qk);
  config.ipa_v = golden.number("ipa_v", config.ipa_v);
  config.num_frames = golden.number("num_frames", 50);
  config.crop = golden.number("crop", 256);
  config.prepend_ipa = golden.flag("prepend_ipa");
  config.interleave_ipa = golden.flag("interleave_ipa");
  config.abs_pos_emb = golden.flag("abs_pos_emb");
  config.abs_time_emb = golden.flag("abs_time_emb");
  config.no_rope = golden.flag("no_rope");
  config.hyena = golden.flag("hyena");
  config.no_aa_emb = golden.flag("no_aa_emb");
  config.sim_condition = golden.flag("sim_condition");
  config.tps_condition = golden.flag("tps_condition");
  config.inpainting = golden.flag("inpainting");
  config.mpnn = golden.flag("mpnn");
  config.dynamic_mpnn = golden.flag("dynamic_mpnn");
  config.cond_interval = golden.flag("cond_interval");
  config.design = golden.flag("design");
  config.reference_compat = true;
  config.latent_dim = static_cast<int>(golden.at("out.xt").size(-1));
  return config;
}

Conditioning conditioning_of(const GoldenFile& golden) {
  Conditioning given;
  given.mask = golden.at("prep.mask");
  given.x_cond = golden.at("prep.x_cond");
  given.x_cond_mask = golden.at("prep.x_cond_mask");
  given.aatype = golden.at("prep.aatype");
  if (!golden.has("batch.rots")) return given;
  const at::Tensor rots = golden.at("batch.rots");
  const at::Tensor trans = golden.at("batch.trans");
  const auto frames = [&](std::int64_t frame) {
    const protein::Rigid all{rots.select(1, frame), trans.select(1, frame)};
    if (!golden.flag("design_key_frames")) return all;
    const at::Tensor shown = at::tensor({0, 0, 3, 3}, at::kLong);  // the reference's DESIGN_MAP_TO_COND
    return protein::Rigid{all.rots.index_select(1, shown), all.trans.index_select(1, shown)};
  };
  given.start_frames = frames(0);
  given.end_frames = frames(rots.size(1) - 1);
  return given;
}

void load(LatentModel& model, const GoldenFile& golden, const std::string& name) {
  const torch::NoGradGuard no_grad;
  std::set<std::string> names;
  for (auto items : {model->named_parameters(), model->named_buffers()}) {
    for (auto& item : items) {
      names.insert(item.key());
      ASSERT_TRUE(golden.has("param." + item.key())) << name << ": " << item.key();
      ASSERT_EQ(item.value().sizes(), golden.at("param." + item.key()).sizes()) << name << ": " << item.key();
      item.value().copy_(golden.at("param." + item.key()));
    }
  }
  EXPECT_EQ(names, golden.parameters()) << name;
}

// Those of the repository and, where it is there, of the shared folder beside it.
std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  const fs::path source = MDGEN_SOURCE_DIR;
  for (const fs::path& folder : {source / "tests/golden", source.parent_path() / "shared/golden"}) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
  }
  return files;
}

TEST(GoldenModelTest, GivesTheReferencesOutput) {
  std::set<std::string> compared;
  for (const fs::path& file : golden_files()) {
    const GoldenFile golden(file);
    if (!golden.has("out.model")) continue;
    const std::string name = file.stem();
    compared.insert(name);
    const torch::NoGradGuard no_grad;
    const ModelConfig config = config_of(golden);
    LatentModel model(config);
    load(model, golden, name);
    if (HasFatalFailure()) return;
    const at::Tensor expected = golden.at("out.model");
    at::Tensor t = golden.at("draw.t");
    if (config.is_sequence_model()) t.fill_(1);
    const at::Tensor y = model->forward(golden.at("out.xt"), t, conditioning_of(golden));
    ASSERT_EQ(y.sizes(), expected.sizes()) << name;
    const double difference = ((y - expected).abs().max() / expected.abs().max()).item<double>();
    EXPECT_LE(difference, kTolerance) << file;
  }
  for (const char* name : {"sim", "sim_time", "no_ipa", "tiny_tps", "tiny_sim_tps", "tiny_inpaint",
                           "tiny_design_sim", "tiny_mpnn", "tiny_dynamic_mpnn", "tiny_no_frames",
                           "tiny_hyena", "tiny_no_rope", "tiny_interleave"}) {
    EXPECT_TRUE(compared.contains(name)) << name;
  }
}

}  // namespace
}  // namespace mdgen::model
