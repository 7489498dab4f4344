// What a model is built from: sizes, kinds of layers, and what it is given and generates.
#pragma once

#include <cstdint>

namespace mdgen::v1 {
class JobSpec;
}

namespace mdgen::model {

// Channels of a frame against another one, and of a residue's type (see latent_layout.h).
inline constexpr int kFrameChannels = 7;
inline constexpr int kSequenceChannels = 20;

struct ModelConfig {
  int latent_dim = 21;  // as latent_layout.h says
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
  bool recompute_attention = false;  // grad_checkpointing of attention and IPA alone, not of whole layers
  // What the model is given: it decides which frames and relative frames IPA sees.
  bool sim_condition = false;
  bool tps_condition = false;
  bool inpainting = false;
  bool mpnn = false;
  bool dynamic_mpnn = false;
  bool cond_interval = false;  // every N-th frame, the first among them
  bool design = false;         // the last kSequenceChannels of the latents are residue types
  // Keeps what the reference computes where it is wrong: Hyena's filter runs backwards in time (B18), without
  // rotary embedding padding is attended to (B19), and interleaved IPA sees the first frame of a model that
  // is given no frame.
  bool reference_compat = false;
  std::int64_t num_frames = 50;  // rows of the time embedding; the longest filter of Hyena
  std::int64_t crop = 256;       // rows of the position embedding

  bool recomputes_layers() const { return grad_checkpointing && !recompute_attention; }
  bool recomputes_attention() const { return grad_checkpointing && recompute_attention; }
  // The model is given the frames of both ends, each relative to the other.
  bool has_relative_frames() const { return tps_condition || inpainting || dynamic_mpnn; }
  // The model generates residue types alone, from one or two frames.
  bool is_sequence_model() const { return mpnn || dynamic_mpnn; }
  // What the reference does without rotary embedding: its mask is a float there, which PyTorch adds to the
  // scores.
  bool attends_padding() const { return no_rope && reference_compat; }
  bool is_conditional() const { return sim_condition || mpnn || has_relative_frames() || cond_interval; }
};

ModelConfig model_config(const v1::JobSpec& resolved);

// Throws Error(kInvalidArgument), naming the fields, for sizes and kinds that do not go together.
void check(const ModelConfig& config);

}  // namespace mdgen::model
