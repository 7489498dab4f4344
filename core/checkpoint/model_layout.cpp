#include "core/checkpoint/model_layout.h"

namespace mdgen::checkpoint {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kFrame = 7;
constexpr std::int64_t kTorsions = 14;
constexpr std::int64_t kSimplex = 20;
constexpr std::int64_t kResidueTypes = 21;
constexpr std::int64_t kAtomPositions = 111;
constexpr std::int64_t kTimeFeatures = 256;
constexpr std::int64_t kFeedForward = 4;
constexpr std::int64_t kHyenaWidth = 64;
constexpr std::int64_t kHyenaPositions = 3;
constexpr std::int64_t kHyenaTaps = 3;

class Builder {
 public:
  explicit Builder(const v1::JobSpec& spec)
      : model_(spec.model()),
        dim_(model_.embed_dim()),
        frames_(spec.data().num_frames()),
        crop_(spec.data().crop()) {}

  ModelLayout build() {
    const std::int64_t latent = latent_dim();
    if (model_.abs_pos_emb()) buffer("pos_embed", {1, crop_, dim_});
    if (model_.abs_time_emb()) buffer("time_embed", {1, frames_, dim_});
    linear("latent_to_emb", latent, dim_);
    if (sees_both_ends()) {
      linear("latent_to_emb_f", kFrame, dim_);
      linear("latent_to_emb_r", kFrame, dim_);
    }
    linear("cond_to_emb", model_.design() ? latent - kSimplex : latent, dim_);
    parameter("mask_to_emb.weight", {2, dim_});
    if (model_.design()) linear("x_d_to_emb", kSimplex, dim_);
    if (model_.prepend_ipa()) {
      if (!model_.no_aa_emb()) parameter("aatype_to_emb.weight", {kResidueTypes, dim_});
      for (int i = 0; i < model_.num_layers(); ++i) ipa_layer("ipa_layers." + std::to_string(i) + ".");
    }
    for (int i = 0; i < model_.num_layers(); ++i) latent_layer("layers." + std::to_string(i) + ".");
    if (!model_.mpnn() && !model_.dynamic_mpnn()) {
      linear("emb_to_latent.linear", dim_, latent);
      linear("emb_to_latent.adaLN_modulation.1", dim_, 2 * dim_);
    }
    if (model_.design()) {
      for (const char* name : {"fc1", "fc2", "fc3"}) linear(name, dim_, dim_);
      linear("emb_to_logits", dim_, kSimplex);
    }
    linear("t_embedder.mlp.0", kTimeFeatures, dim_);
    linear("t_embedder.mlp.2", dim_, dim_);
    return std::move(layout_);
  }

 private:
  bool sees_both_ends() const {
    return model_.tps_condition() || model_.inpainting() || model_.dynamic_mpnn();
  }
  std::int64_t latent_dim() const {
    if (model_.no_frames()) return kAtomPositions;
    return (sees_both_ends() ? 2 : 1) * kFrame + kTorsions + (model_.design() ? kSimplex : 0);
  }

  void parameter(const std::string& name, Shape shape) { layout_.push_back({name, std::move(shape)}); }
  void buffer(const std::string& name, Shape shape) {
    layout_.push_back({name, std::move(shape), LayoutTensor::Role::kBuffer});
  }
  void linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias = true) {
    parameter(name + ".weight", {out, in});
    if (bias) parameter(name + ".bias", {out});
  }

  void ipa(const std::string& at) {
    const std::int64_t heads = model_.ipa_heads();
    const std::int64_t hidden = heads * model_.ipa_head_dim();
    parameter(at + "ipa_norm.weight", {dim_});
    parameter(at + "ipa_norm.bias", {dim_});
    parameter(at + "ipa.head_weights", {heads});
    linear(at + "ipa.linear_q", dim_, hidden);
    linear(at + "ipa.linear_kv", dim_, 2 * hidden);
    linear(at + "ipa.linear_q_points", dim_, heads * model_.ipa_qk() * 3);
    linear(at + "ipa.linear_kv_points", dim_, heads * (model_.ipa_qk() + model_.ipa_v()) * 3);
    linear(at + "ipa.linear_out", hidden + heads * model_.ipa_v() * 4, dim_);
  }

  void attention(const std::string& at) {
    parameter(at + "attn.bias_k", {1, 1, dim_});
    parameter(at + "attn.bias_v", {1, 1, dim_});
    for (const char* name : {"k_proj", "v_proj", "q_proj", "out_proj"})
      linear(at + "attn." + name, dim_, dim_);
    if (!model_.no_rope()) buffer(at + "attn.rot_emb.inv_freq", {dim_ / model_.mha_heads() / 2});
  }

  void hyena(const std::string& at) {
    const std::string filter = at + "filter_fn.";
    const std::string mlp = filter + "implicit_filter.";
    linear(at + "in_proj", dim_, 3 * dim_);
    linear(at + "out_proj", dim_, dim_);
    parameter(at + "short_filter.weight", {3 * dim_, 1, kHyenaTaps});
    parameter(at + "short_filter.bias", {3 * dim_});
    parameter(filter + "bias", {dim_});
    parameter(filter + "pos_emb.z", {1, frames_, kHyenaPositions});
    buffer(filter + "pos_emb.t", {1, frames_, 1});
    linear(mlp + "0", kHyenaPositions, kHyenaWidth);
    parameter(mlp + "1.freq", {1, kHyenaWidth});
    for (const char* index : {"2", "4"}) {
      linear(mlp + index, kHyenaWidth, kHyenaWidth);
      layout_.push_back({mlp + (*index == '2' ? "3.freq" : "5.freq"),
                         {1, kHyenaWidth},
                         LayoutTensor::Role::kTied,
                         mlp + "1.freq"});
    }
    linear(mlp + "6", kHyenaWidth, dim_, false);
    buffer(filter + "modulation.deltas", {1, 1, dim_});
  }

  void feed_forward(const std::string& at) {
    linear(at + "fc1", dim_, kFeedForward * dim_);
    linear(at + "fc2", kFeedForward * dim_, dim_);
  }

  void ipa_layer(const std::string& at) {
    linear(at + "adaLN_modulation.1", dim_, 6 * dim_);
    ipa(at);
    attention(at + "mha_l.");
    feed_forward(at);
  }

  void latent_layer(const std::string& at) {
    linear(at + "adaLN_modulation.1", dim_, 9 * dim_);
    if (model_.interleave_ipa()) ipa(at);
    if (model_.hyena()) {
      hyena(at + "mha_t.");
    } else {
      attention(at + "mha_t.");
    }
    attention(at + "mha_l.");
    feed_forward(at);
  }

  const v1::ModelSpec& model_;
  std::int64_t dim_, frames_, crop_;
  ModelLayout layout_;
};

}  // namespace

ModelLayout model_layout(const v1::JobSpec& resolved) { return Builder(resolved).build(); }

std::vector<std::string> parameter_names(const ModelLayout& layout) {
  std::vector<std::string> names;
  for (const LayoutTensor& tensor : layout)
    if (tensor.role == LayoutTensor::Role::kParameter) names.push_back(tensor.name);
  return names;
}

}  // namespace mdgen::checkpoint
