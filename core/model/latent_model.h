// The latent model (reference: mdgen/model/latent_model.py, class LatentMDGenModel): tokens (B, T, L) of
// latents, given conditioning and flow time, to latents. Parameters and buffers carry the reference's
// state_dict names.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "core/protein/rigid.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::model {

struct ModelConfig {
  int latent_dim = 21;  // 7 frame offset + 14 torsions
  int embed_dim = 384;
  int num_layers = 5;
  int mha_heads = 16;
  int ipa_heads = 4;
  int ipa_head_dim = 32;
  int ipa_qk = 8;
  int ipa_v = 8;
  double time_multiplier = 100.0;
  bool prepend_ipa = false;
  bool abs_pos_emb = false;
  bool abs_time_emb = false;
  bool no_rope = false;
  bool hyena = false;           // along time
  bool interleave_ipa = false;  // IPA in each layer
  bool no_aa_emb = false;
  double dropout = 0;  // on attention and IPA probabilities
  bool grad_checkpointing = false;
  // What the model is given: it decides which frames and relative frames IPA sees.
  bool sim_condition = false;
  bool tps_condition = false;
  bool inpainting = false;
  bool mpnn = false;
  bool dynamic_mpnn = false;
  bool design = false;  // the last 20 channels are a point of the simplex over residue types
  // Keeps what the reference computes where it is wrong: Hyena's filter runs backwards in time (B18), and
  // without rotary embedding padding is attended to (B19).
  bool reference_compat = false;
  std::int64_t num_frames = 50;  // rows of the time embedding
  std::int64_t crop = 256;       // rows of the position embedding
};
ModelConfig model_config(const v1::JobSpec& resolved);

// What the model is given beside the noisy latents.
struct Conditioning {
  at::Tensor mask;              // (B, T, L) float32
  protein::Rigid start_frames;  // (B, L)
  protein::Rigid end_frames;    // (B, L)
  at::Tensor x_cond;            // (B, T, L, C)
  at::Tensor x_cond_mask;       // (B, T, L) int64
  at::Tensor aatype;            // (B, L) int64; 20 is "hidden"
  // What dropout's draws are keyed by, so that they depend neither on padding nor on who computes the sample.
  // Undefined: no dropout.
  at::Tensor dropout_key;    // (B) int64
  at::Tensor first_residue;  // (B) int64: the number in the protein of the sample's first residue
};

// Is shown what the prepended IPA adds to every frame's tokens: t (B) as given to forward, ipa_output (B, L,
// C) without a graph, mask (B, L).
using IpaListener =
    std::function<void(const at::Tensor& t, const at::Tensor& ipa_output, const at::Tensor& mask)>;

class LatentModelImpl : public torch::nn::Module {
 public:
  explicit LatentModelImpl(const ModelConfig& config);
  ~LatentModelImpl() override;

  // Draws every parameter anew from `seed`, tensor by tensor (docs of the reference: initialize_weights): a
  // pure function of (seed, tensor's name), the same on every rank.
  void initialize(std::uint64_t seed);

  // x (B, T, L, C), t (B) -> (B, T, L, C).
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
