#include "core/model/latent_model.h"

#include <optional>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/model/attention.h"
#include "core/model/dropout.h"
#include "core/model/embeddings.h"
#include "core/model/initialization.h"
#include "core/model/ipa.h"
#include "core/model/ipa_stack.h"
#include "core/model/layers.h"
#include "core/model/linear.h"
#include "core/model/recompute.h"
#include "core/model/sequence_head.h"

namespace mdgen::model {
namespace {

// Parts that dropout has streams for.
constexpr std::uint32_t kIpaStack = 0;
constexpr std::uint32_t kMainStack = 1;

void require(bool good, const std::string& text) {
  if (!good) throw Error(ErrorCode::kInvalidArgument, text);
}

void require_channels(const at::Tensor& tensor, std::int64_t channels, const char* what) {
  require(tensor.size(-1) == channels, std::string(what) + " has " + std::to_string(tensor.size(-1)) +
                                           " channels, but the model takes " + std::to_string(channels));
}

// Rows of a position table, which must have at least `length`.
at::Tensor rows(const at::Tensor& table, std::int64_t length, const char* what, const char* limit) {
  require(length <= table.size(1), std::to_string(length) + " " + what + " in a sample, but " + limit +
                                       " is " + std::to_string(table.size(1)));
  return table.narrow(1, 0, length);
}

ModelConfig checked(const ModelConfig& config) {
  check(config);
  return config;
}

int cond_channels(const ModelConfig& config) {
  return config.latent_dim - (config.design ? kSequenceChannels : 0);
}

// mpnn looks at the first frame, dynamic_mpnn at the first and the last: (B, T, …) -> (B, 1 or 2, …).
at::Tensor seen_frames(const ModelConfig& config, const at::Tensor& all) {
  if (config.mpnn) return all.narrow(1, 0, 1);
  if (config.dynamic_mpnn) return at::cat({all.narrow(1, 0, 1), all.narrow(1, all.size(1) - 1, 1)}, 1);
  return all;
}

// The frames of the interleaved IPA: (B, L).
protein::Rigid interleaved_frames(const ModelConfig& config, const Conditioning& given) {
  const bool leaks = config.reference_compat && !config.prepend_ipa;
  return config.is_conditional() || leaks ? given.start_frames : identity_frames(given.mask.select(1, 0));
}

// (B, L, …) -> (B * T, L, …).
at::Tensor for_each_frame(const at::Tensor& tensor, std::int64_t frames) {
  std::vector<std::int64_t> shape = tensor.sizes().vec();
  shape.insert(shape.begin() + 1, frames);
  return tensor.unsqueeze(1).expand(shape).flatten(0, 1);
}

at::Tensor run_layer(LatentLayer layer, const at::Tensor& tokens, const at::Tensor& time,
                     const LatentLayerInputs& inputs, bool recompute) {
  if (!recompute) return layer(tokens, time, inputs);
  const auto run = [layer, inputs](const std::vector<at::Tensor>& in) mutable {
    return layer(in[0], in[1], inputs);
  };
  return recomputed(run, {tokens, time}, layer->parameters());
}

}  // namespace

struct LatentModelImpl::Parts {
  explicit Parts(const ModelConfig& settings)
      : config(checked(settings)),
        latent_to_emb(config.latent_dim, config.embed_dim),
        cond_to_emb(cond_channels(config), config.embed_dim),
        mask_to_emb(2, config.embed_dim),
        ipa(config),
        t_embedder(config.embed_dim) {
    for (int i = 0; i < config.num_layers; ++i) layers->push_back(LatentLayer(config));
    if (!config.is_sequence_model()) emb_to_latent = FinalLayer(config.embed_dim, config.latent_dim);
    if (config.design) sequence_head.emplace(config.embed_dim);
  }

  at::ScalarType type() const { return latent_to_emb->weight.scalar_type(); }
  Conditioning seen(const Conditioning& given) const;
  at::Tensor embed(const at::Tensor& x, const Conditioning& given);
  LatentLayerInputs layer_inputs(const Conditioning& given) const;
  at::Tensor answer(const at::Tensor& tokens, const at::Tensor& time);

  ModelConfig config;
  Linear latent_to_emb, cond_to_emb;
  torch::nn::Embedding mask_to_emb;
  IpaStack ipa;
  torch::nn::ModuleList layers;
  FinalLayer emb_to_latent{nullptr};
  std::optional<SequenceHead> sequence_head;  // with design
  TimestepEmbedder t_embedder;
  at::Tensor pos_embed;   // (1, crop, C), with abs_pos_emb
  at::Tensor time_embed;  // (1, num_frames, C), with abs_time_emb
  IpaListener ipa_listener;
};

Conditioning LatentModelImpl::Parts::seen(const Conditioning& given) const {
  Conditioning seen = given;
  seen.mask = seen_frames(config, given.mask);
  seen.x_cond = seen_frames(config, given.x_cond).to(type());
  seen.x_cond_mask = seen_frames(config, given.x_cond_mask);
  return seen;
}

// `x` with all its frames.
at::Tensor LatentModelImpl::Parts::embed(const at::Tensor& x, const Conditioning& given) {
  require_channels(x, latent_to_emb->options.in_features(), "x");
  require_channels(given.x_cond, cond_to_emb->options.in_features(), "x_cond");
  at::Tensor tokens = latent_to_emb(seen_frames(config, x).to(type())) + cond_to_emb(given.x_cond) +
                      mask_to_emb(given.x_cond_mask);
  if (pos_embed.defined()) tokens = tokens + rows(pos_embed, x.size(2), "residues", "crop").to(type());
  if (time_embed.defined()) {
    const at::Tensor of_frames = rows(time_embed, x.size(1), "frames", "num_frames");
    tokens = tokens + seen_frames(config, of_frames).unsqueeze(2).to(type());
  }
  return tokens;
}

LatentLayerInputs LatentModelImpl::Parts::layer_inputs(const Conditioning& given) const {
  const at::Tensor& mask = given.mask;
  const std::int64_t frames = mask.size(1);
  LatentLayerInputs inputs;
  inputs.residues = attention_keys(mask.flatten(0, 1), config.attends_padding(), given.bias_token_position);
  if (config.hyena) {
    require((mask == mask.select(1, 0).unsqueeze(1)).all().item<bool>(),
            "hyena mixes all frames of a residue: none of a real residue's may be padding");
  } else {
    inputs.frames = attention_keys(mask.transpose(1, 2).flatten(0, 1), config.attends_padding());
  }
  if (config.interleave_ipa) {
    const protein::Rigid of_residues = interleaved_frames(config, given);
    inputs.ipa_frames = {for_each_frame(of_residues.rots, frames), for_each_frame(of_residues.trans, frames)};
    inputs.pair_bias = ipa_pair_bias(mask.flatten(0, 1));
  }
  return inputs;
}

at::Tensor LatentModelImpl::Parts::answer(const at::Tensor& tokens, const at::Tensor& time) {
  if (!sequence_head) return emb_to_latent(tokens, time);
  const at::Tensor logits = sequence_head->forward(tokens).unsqueeze(1);
  if (config.is_sequence_model()) return logits;
  const auto parts =
      emb_to_latent(tokens, time).split_with_sizes({cond_channels(config), kSequenceChannels}, -1);
  return at::cat({parts[0], parts[1] + logits}, -1);
}

// In the reference's order: the optimizer's state in its checkpoints goes by it.
LatentModelImpl::LatentModelImpl(const ModelConfig& config) : parts_(std::make_shared<Parts>(config)) {
  Parts& parts = *parts_;
  const auto add = [this](const char* name, const auto& module) {
    if (module) register_module(name, module);
  };
  add("latent_to_emb", parts.latent_to_emb);
  add("latent_to_emb_f", parts.ipa.latent_to_emb_f);
  add("latent_to_emb_r", parts.ipa.latent_to_emb_r);
  add("cond_to_emb", parts.cond_to_emb);
  add("mask_to_emb", parts.mask_to_emb);
  add("x_d_to_emb", parts.ipa.x_d_to_emb);
  add("aatype_to_emb", parts.ipa.aatype_to_emb);
  add("ipa_layers", parts.ipa.ipa_layers);
  add("layers", parts.layers);
  add("emb_to_latent", parts.emb_to_latent);
  if (parts.sequence_head) {
    add("fc1", parts.sequence_head->fc1);
    add("fc2", parts.sequence_head->fc2);
    add("fc3", parts.sequence_head->fc3);
    add("emb_to_logits", parts.sequence_head->emb_to_logits);
  }
  add("t_embedder", parts.t_embedder);
  const auto table = [&](std::int64_t length) { return sincos_table(length, config.embed_dim).unsqueeze(0); };
  if (config.abs_pos_emb) parts.pos_embed = register_buffer("pos_embed", table(config.crop));
  if (config.abs_time_emb) parts.time_embed = register_buffer("time_embed", table(config.num_frames));
}

LatentModelImpl::~LatentModelImpl() = default;

void LatentModelImpl::initialize(std::uint64_t seed) {
  for (auto& item : named_parameters()) {
    model::initialize(item.value(), initialization_of(item.key(), item.value().sizes()), seed, item.key());
  }
}

void LatentModelImpl::set_ipa_listener(IpaListener listener) { parts_->ipa_listener = std::move(listener); }

at::Tensor LatentModelImpl::forward(const at::Tensor& x, const at::Tensor& t,
                                    const Conditioning& conditioning) {
  Parts& parts = *parts_;
  const ModelConfig& config = parts.config;
  const Conditioning given = parts.seen(conditioning);
  require(given.bias_token_position == 0 || given.bias_token_position >= x.size(2),
          "bias_token_position " + std::to_string(given.bias_token_position) + " lies before the end of " +
              std::to_string(x.size(2)) + " residues");
  const bool drops = is_training() && config.dropout > 0;
  const Dropout dropout = drops ? Dropout(config.dropout, given.dropout_key, given.first_residue) : Dropout();
  at::Tensor tokens = parts.embed(x, given);
  const at::Tensor time = parts.t_embedder(t * config.time_multiplier);
  if (config.prepend_ipa) {
    at::Tensor x_d;
    if (config.design)
      x_d = seen_frames(config, x)
                .narrow(-1, cond_channels(config), kSequenceChannels)
                .mean(1)
                .to(parts.type());
    const at::Tensor ipa = parts.ipa.forward(time, given, x_d, dropout.of(kIpaStack));
    if (parts.ipa_listener) parts.ipa_listener(t, ipa.detach(), given.mask.select(1, 0));
    tokens = tokens + ipa.unsqueeze(1);
  }
  LatentLayerInputs inputs = parts.layer_inputs(given);
  std::uint32_t number = 0;
  for (const auto& layer : *parts.layers) {
    inputs.dropout = dropout.of(kMainStack).of(number++);
    tokens = run_layer(LatentLayer(std::dynamic_pointer_cast<LatentLayerImpl>(layer)), tokens, time, inputs,
                       config.recomputes_layers());
  }
  return parts.answer(tokens, time).to(x.scalar_type());
}

}  // namespace mdgen::model
