#include "core/model/ipa_stack.h"

#include <utility>

#include "core/model/layers.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kResidueTypes = 21;

// Streams of tokens, for dropout.
constexpr std::uint32_t kForward = 0;
constexpr std::uint32_t kBackward = 1;

at::Tensor twice(const at::Tensor& tensor) { return at::cat({tensor, tensor}); }

at::Tensor sum_or(const at::Tensor& sum, const at::Tensor& term) { return sum.defined() ? sum + term : term; }

}  // namespace

protein::Rigid identity_frames(const at::Tensor& mask) {
  const std::int64_t batch = mask.size(0);
  const std::int64_t length = mask.size(1);
  return {at::eye(3, mask.options()).expand({batch, length, 3, 3}),
          at::zeros({batch, length, 3}, mask.options())};
}

IpaStack::IpaStack(const ModelConfig& config) : config_(config) {
  const std::int64_t dim = config.embed_dim;
  if (config.has_relative_frames()) {
    latent_to_emb_f = Linear(kFrameChannels, dim);
    latent_to_emb_r = Linear(kFrameChannels, dim);
  }
  if (config.design) x_d_to_emb = Linear(kSequenceChannels, dim);
  if (!config.prepend_ipa) return;
  if (!config.no_aa_emb) aatype_to_emb = torch::nn::Embedding(kResidueTypes, dim);
  ipa_layers = torch::nn::ModuleList();
  for (int i = 0; i < config.num_layers; ++i) ipa_layers->push_back(IpaLayer(config));
}

// What a residue is: undefined when the model is told nothing of it.
at::Tensor IpaStack::residue_tokens(const Conditioning& given, const at::Tensor& x_d) {
  at::Tensor tokens;
  if (aatype_to_emb) tokens = aatype_to_emb(given.aatype);
  if (x_d_to_emb) tokens = sum_or(tokens, x_d_to_emb(x_d));
  return tokens;
}

at::Tensor IpaStack::run(at::Tensor x, const at::Tensor& t, const protein::Rigid& frames,
                         const at::Tensor& mask, std::int64_t bias_token_position, const Dropout& dropout) {
  const at::Tensor pair_bias = ipa_pair_bias(mask);
  const AttentionKeys residues = attention_keys(mask, config_.attends_padding(), bias_token_position);
  std::uint32_t number = 0;
  for (const auto& layer : *ipa_layers) {
    x = layer->as<IpaLayer>()->forward(x, t, frames, pair_bias, residues, dropout.of(number++));
  }
  return x;
}

// Both streams in one batch: the layers are the same.
at::Tensor IpaStack::run_both_ways(const at::Tensor& tokens, const at::Tensor& t, const Conditioning& given,
                                   const Dropout& dropout) {
  const protein::Rigid &start = given.start_frames, &end = given.end_frames;
  const at::ScalarType type = latent_to_emb_f->weight.scalar_type();
  const auto seen_from = [&](const protein::Rigid& from, const protein::Rigid& frames) {
    return protein::to_tensor_7(protein::compose(protein::invert(from), frames)).to(type);
  };
  const at::Tensor r = sum_or(tokens, latent_to_emb_r(seen_from(end, start)));
  const at::Tensor f = sum_or(tokens, latent_to_emb_f(seen_from(start, end)));
  const protein::Rigid frames{at::cat({start.rots, end.rots}), at::cat({start.trans, end.trans})};
  const auto out = run(at::cat({r, f}), twice(t), frames, twice(given.mask.select(1, 0)),
                       given.bias_token_position, Dropout::cat(dropout.of(kForward), dropout.of(kBackward)))
                       .chunk(2);
  return out[0] + out[1];
}

at::Tensor IpaStack::forward(const at::Tensor& t, const Conditioning& given, const at::Tensor& x_d,
                             const Dropout& dropout) {
  const at::Tensor mask = given.mask.select(1, 0);
  at::Tensor tokens = residue_tokens(given, x_d);
  const bool sees_start_alone = config_.sim_condition || config_.mpnn;
  if (!sees_start_alone && config_.has_relative_frames()) return run_both_ways(tokens, t, given, dropout);
  if (!tokens.defined()) tokens = at::zeros({mask.size(0), mask.size(1), config_.embed_dim}, t.options());
  return run(tokens, t, config_.is_conditional() ? given.start_frames : identity_frames(mask), mask,
             given.bias_token_position, dropout.of(kForward));
}

}  // namespace mdgen::model
