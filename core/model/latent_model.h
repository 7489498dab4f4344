// The latent model (reference: mdgen/model/latent_model.py, class LatentMDGenModel): tokens (B, T, L) of
// latents, given conditioning and flow time, to latents. Parameters and buffers carry the reference's
// state_dict names.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "core/model/conditioning.h"
#include "core/model/model_config.h"

namespace mdgen::model {

// Is shown what the prepended IPA adds to every frame's tokens: t (B) as given to forward, ipa_output (B, L,
// C) without a graph, mask (B, L).
using IpaListener =
    std::function<void(const at::Tensor& t, const at::Tensor& ipa_output, const at::Tensor& mask)>;

class LatentModelImpl : public torch::nn::Module {
 public:
  // Throws Error for a config that check() refuses.
  explicit LatentModelImpl(const ModelConfig& config);
  ~LatentModelImpl() override;

  // Draws every parameter anew from `seed`, tensor by tensor (docs of the reference: initialize_weights): a
  // pure function of (seed, tensor's name), the same on every rank.
  void initialize(std::uint64_t seed);

  // x (B, T, L, C), t (B) -> (B, T, L, C). With mpnn or dynamic_mpnn: logits of residue types (B, 1, L, 20).
  // Throws Error for more frames or residues than the tables hold, and with hyena for frames that are
  // padding.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const Conditioning& conditioning);

  // From now on every forward calls `listener` once, on its own thread; an empty one ends it. Without
  // prepend_ipa nothing is called.
  void set_ipa_listener(IpaListener listener);

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;
};
TORCH_MODULE(LatentModel);

}  // namespace mdgen::model
