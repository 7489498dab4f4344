#include "core/model/latent_model.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/model/attention.h"
#include "core/model/embeddings.h"
#include "core/model/initialization.h"
#include "core/model/ipa.h"
#include "core/model/latent_layout.h"
#include "core/model/layers.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kResidueTypes = 21;

void check(bool good, const std::string& text) {
  if (!good) throw Error(ErrorCode::kInvalidArgument, text);
}

void check(const ModelConfig& config) {
  check(config.mha_heads > 0 && config.embed_dim % (2 * config.mha_heads) == 0,
        "embed_dim " + std::to_string(config.embed_dim) + " must be a multiple of twice mha_heads " +
            std::to_string(config.mha_heads) + ": rotary embedding turns pairs of a head's channels");
  check(config.sim_condition || !config.prepend_ipa,
        "prepend_ipa needs frames to look at: set sim_condition");
}

LayerSizes layer_sizes(const ModelConfig& config) {
  return {config.embed_dim,
          config.mha_heads,
          {config.embed_dim, config.ipa_heads, config.ipa_head_dim, config.ipa_qk, config.ipa_v}};
}

// Rows of a position table, which must have at least `length`.
at::Tensor rows(const at::Tensor& table, std::int64_t length, const char* what, const char* limit) {
  check(length <= table.size(1), std::to_string(length) + " " + what + " in a sample, but " + limit + " is " +
                                     std::to_string(table.size(1)));
  return table.narrow(1, 0, length);
}

}  // namespace

struct LatentModelImpl::Parts {
  explicit Parts(const ModelConfig& settings)
      : config(settings),
        latent_to_emb(settings.latent_dim, settings.embed_dim),
        cond_to_emb(settings.latent_dim, settings.embed_dim),
        mask_to_emb(2, settings.embed_dim),
        emb_to_latent(settings.embed_dim, settings.latent_dim),
        t_embedder(settings.embed_dim) {
    const LayerSizes sizes = layer_sizes(config);
    for (int i = 0; i < config.num_layers; ++i) layers->push_back(LatentLayer(sizes));
    if (!config.prepend_ipa) return;
    aatype_to_emb = torch::nn::Embedding(kResidueTypes, config.embed_dim);
    for (int i = 0; i < config.num_layers; ++i) ipa_layers->push_back(IpaLayer(sizes));
  }

  at::Tensor embed(const at::Tensor& x, const Conditioning& given);
  at::Tensor run_ipa(const at::Tensor& t, const Conditioning& given);

  ModelConfig config;
  torch::nn::Linear latent_to_emb, cond_to_emb;
  torch::nn::Embedding mask_to_emb;
  torch::nn::Embedding aatype_to_emb{nullptr};  // with prepend_ipa
  torch::nn::ModuleList ipa_layers, layers;
  FinalLayer emb_to_latent;
  TimestepEmbedder t_embedder;
  at::Tensor pos_embed;   // (1, crop, C), with abs_pos_emb
  at::Tensor time_embed;  // (1, num_frames, C), with abs_time_emb
  IpaListener ipa_listener;
};

at::Tensor LatentModelImpl::Parts::embed(const at::Tensor& x, const Conditioning& given) {
  at::Tensor tokens = latent_to_emb(x) + cond_to_emb(given.x_cond) + mask_to_emb(given.x_cond_mask);
  if (pos_embed.defined()) tokens = tokens + rows(pos_embed, x.size(2), "residues", "crop");
  if (time_embed.defined()) {
    tokens = tokens + rows(time_embed, x.size(1), "frames", "num_frames").unsqueeze(2);
  }
  return tokens;
}

at::Tensor LatentModelImpl::Parts::run_ipa(const at::Tensor& t, const Conditioning& given) {
  const at::Tensor mask = given.mask.select(1, 0);
  const at::Tensor pair_bias = ipa_pair_bias(mask);
  const at::Tensor residue_bias = key_bias(mask);
  at::Tensor x = aatype_to_emb(given.aatype);
  for (const auto& layer : *ipa_layers) {
    x = layer->as<IpaLayer>()->forward(x, t, given.start_frames, pair_bias, residue_bias);
  }
  return x;
}

ModelConfig model_config(const v1::JobSpec& resolved) {
  const v1::ModelSpec& spec = resolved.model();
  ModelConfig config;
  config.latent_dim = latent_layout(spec).total();
  config.embed_dim = spec.embed_dim();
  config.num_layers = spec.num_layers();
  config.mha_heads = spec.mha_heads();
  config.ipa_heads = spec.ipa_heads();
  config.ipa_head_dim = spec.ipa_head_dim();
  config.ipa_qk = spec.ipa_qk();
  config.ipa_v = spec.ipa_v();
  config.time_multiplier = spec.time_multiplier();
  config.prepend_ipa = spec.prepend_ipa();
  config.abs_pos_emb = spec.abs_pos_emb();
  config.abs_time_emb = spec.abs_time_emb();
  config.sim_condition = spec.sim_condition();
  config.num_frames = resolved.data().num_frames();
  config.crop = resolved.data().crop();
  return config;
}

LatentModelImpl::LatentModelImpl(const ModelConfig& config) {
  check(config);
  parts_ = std::make_shared<Parts>(config);
  register_module("latent_to_emb", parts_->latent_to_emb);
  register_module("cond_to_emb", parts_->cond_to_emb);
  register_module("mask_to_emb", parts_->mask_to_emb);
  if (config.prepend_ipa) {
    register_module("aatype_to_emb", parts_->aatype_to_emb);
    register_module("ipa_layers", parts_->ipa_layers);
  }
  register_module("layers", parts_->layers);
  register_module("emb_to_latent", parts_->emb_to_latent);
  register_module("t_embedder", parts_->t_embedder);
  if (config.abs_pos_emb) {
    parts_->pos_embed =
        register_buffer("pos_embed", sincos_table(config.crop, config.embed_dim).unsqueeze(0));
  }
  if (config.abs_time_emb) {
    parts_->time_embed =
        register_buffer("time_embed", sincos_table(config.num_frames, config.embed_dim).unsqueeze(0));
  }
}

LatentModelImpl::~LatentModelImpl() = default;

void LatentModelImpl::initialize(std::uint64_t seed) {
  for (auto& item : named_parameters()) {
    model::initialize(item.value(), initialization_of(item.key(), item.value().sizes()), seed, item.key());
  }
}

void LatentModelImpl::set_ipa_listener(IpaListener listener) { parts_->ipa_listener = std::move(listener); }

at::Tensor LatentModelImpl::forward(const at::Tensor& x, const at::Tensor& t, const Conditioning& given) {
  Parts& parts = *parts_;
  at::Tensor tokens = parts.embed(x, given);
  const at::Tensor time = parts.t_embedder(t * parts.config.time_multiplier);
  if (parts.config.prepend_ipa) {
    const at::Tensor ipa = parts.run_ipa(time, given);
    if (parts.ipa_listener) parts.ipa_listener(t, ipa.detach(), given.mask.select(1, 0));
    tokens = tokens + ipa.unsqueeze(1);
  }

  const at::Tensor residue_bias = key_bias(given.mask.flatten(0, 1));
  const at::Tensor frame_bias = key_bias(given.mask.transpose(1, 2).flatten(0, 1));
  for (const auto& layer : *parts.layers) {
    tokens = layer->as<LatentLayer>()->forward(tokens, time, residue_bias, frame_bias);
  }
  return parts.emb_to_latent(tokens, time);
}

}  // namespace mdgen::model
