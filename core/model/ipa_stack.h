// The invariant point attention that runs before the layers, on one token per residue: what the model is
// given of the structure enters here (reference: latent_model.py run_ipa).
#pragma once

#include <torch/torch.h>

#include "core/model/conditioning.h"
#include "core/model/dropout.h"
#include "core/model/linear.h"
#include "core/model/model_config.h"

namespace mdgen::model {

// Frames at the origin, so that what sees them learns no coordinates: (B, L) as `mask` (B, L), which also
// gives type and device.
protein::Rigid identity_frames(const at::Tensor& mask);

// Not a module: the reference's names have no prefix for it, so its owner registers the members.
struct IpaStack {
  // Creates the members that the config asks for, prepend_ipa or not.
  explicit IpaStack(const ModelConfig& config);

  // With prepend_ipa. t (B, C), the embedded flow time; x_d (B, L, 20), with design. -> (B, L, C).
  //
  // Given the first frame, one stream of tokens looks at it. Given relative frames (and neither sim_condition
  // nor mpnn), two streams share the layers, one that begins with the last frame as seen from the first and
  // looks at the last, and one the other way round; they are summed. Given nothing, one stream looks at
  // identity frames.
  // `dropout` gives each stream and layer one of its own.
  at::Tensor forward(const at::Tensor& t, const Conditioning& given, const at::Tensor& x_d,
                     const Dropout& dropout = {});

  Linear latent_to_emb_f{nullptr}, latent_to_emb_r{nullptr};  // given relative frames
  Linear x_d_to_emb{nullptr};                                 // with design
  torch::nn::Embedding aatype_to_emb{nullptr};
  torch::nn::ModuleList ipa_layers{nullptr};

 private:
  at::Tensor residue_tokens(const Conditioning& given, const at::Tensor& x_d);
  at::Tensor run(at::Tensor x, const at::Tensor& t, const protein::Rigid& frames, const at::Tensor& mask,
                 std::int64_t bias_token_position, const Dropout& dropout);
  at::Tensor run_both_ways(const at::Tensor& tokens, const at::Tensor& t, const Conditioning& given,
                           const Dropout& dropout);

  ModelConfig config_;
};

}  // namespace mdgen::model
