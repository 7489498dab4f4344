#include "core/model/model_config.h"

#include <string>

#include "core/base/error.h"
#include "core/model/latent_layout.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::model {
namespace {

void require(bool good, const std::string& text) {
  if (!good) throw Error(ErrorCode::kInvalidArgument, text);
}

}  // namespace

ModelConfig model_config(const v1::JobSpec& resolved) {
  const v1::ModelSpec& spec = resolved.model();
  ModelConfig config;
  config.embed_dim = spec.embed_dim();
  config.num_layers = spec.num_layers();
  config.mha_heads = spec.mha_heads();
  config.ipa_heads = spec.ipa_heads();
  config.ipa_head_dim = spec.ipa_head_dim();
  config.ipa_qk = spec.ipa_qk();
  config.ipa_v = spec.ipa_v();
  config.time_multiplier = spec.time_multiplier();
  config.prepend_ipa = spec.prepend_ipa();
  config.interleave_ipa = spec.interleave_ipa();
  config.abs_pos_emb = spec.abs_pos_emb();
  config.abs_time_emb = spec.abs_time_emb();
  config.no_rope = spec.no_rope();
  config.hyena = spec.hyena();
  config.no_aa_emb = spec.no_aa_emb();
  config.dropout = spec.dropout();
  config.grad_checkpointing = resolved.optim().grad_checkpointing();
  config.recompute_attention = resolved.optim().recompute() == "attention";
  config.sim_condition = spec.sim_condition();
  config.tps_condition = spec.tps_condition();
  config.inpainting = spec.inpainting();
  config.mpnn = spec.mpnn();
  config.dynamic_mpnn = spec.dynamic_mpnn();
  config.cond_interval = spec.has_cond_interval();
  config.design = spec.design();
  config.reference_compat = resolved.reference_compat();
  config.num_frames = resolved.data().num_frames();
  config.crop = resolved.data().crop();
  config.latent_dim = latent_layout(spec).total();
  return config;
}

void check(const ModelConfig& config) {
  const std::string dim = "embed_dim " + std::to_string(config.embed_dim);
  const std::string heads = std::to_string(config.mha_heads);
  require(config.mha_heads > 0 && config.embed_dim > 0 && config.embed_dim % config.mha_heads == 0,
          dim + " must be a multiple of mha_heads " + heads);
  require(config.no_rope || config.embed_dim / config.mha_heads % 2 == 0,
          dim + " must be a multiple of twice mha_heads " + heads +
              ": rotary embedding turns pairs of a head's channels (no_rope does without)");
  require(config.embed_dim % 2 == 0 || !(config.abs_pos_emb || config.abs_time_emb),
          dim + " must be even for abs_pos_emb and abs_time_emb: half of it are sines, half cosines");
  require(config.num_frames > 0 && config.crop > 0, "num_frames and crop must be positive");
  require(!config.is_sequence_model() || config.design,
          "mpnn and dynamic_mpnn generate residue types: they need design");
  require(!config.design || config.prepend_ipa,
          "design needs prepend_ipa: the residue types enter the model through it");
  require(!config.design || config.latent_dim > kSequenceChannels,
          "latent_dim " + std::to_string(config.latent_dim) + " has no room for the " +
              std::to_string(kSequenceChannels) + " channels of design beside others");
}

}  // namespace mdgen::model
