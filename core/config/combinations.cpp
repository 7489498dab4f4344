#include "core/config/combinations.h"

#include <initializer_list>

#include "core/base/text.h"
#include "core/config/spec.h"
#include "core/config/value.h"

namespace mdgen::config {
namespace {

struct Finding {
  bool holds;
  std::string text;
};

void add(std::vector<std::string>& texts, std::initializer_list<Finding> findings) {
  for (const Finding& finding : findings) {
    if (finding.holds) texts.push_back(finding.text);
  }
}

struct Flag {
  bool is_set;
  const char* name;
};

std::string names_of(std::initializer_list<Flag> flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) {
    if (flag.is_set) names.emplace_back(std::string("model.") + flag.name);
  }
  return join(names, ", ");
}

std::string number_text(double value) { return value_text(Value(value)); }

bool is_sequence_alone(const v1::ModelSpec& model) { return model.mpnn() || model.dynamic_mpnn(); }

void check_design(const v1::JobSpec& spec, std::vector<std::string>& texts) {
  const v1::ModelSpec& model = spec.model();
  const std::string& prediction = spec.transport().prediction();
  add(texts, {{model.design() && !model.prepend_ipa(),
               "model.design needs model.prepend_ipa: the sequence's state enters the model there"},
              {model.design() && prediction != "velocity",
               "model.design needs transport.prediction = velocity, not " + prediction +
                   ": the sequence's flow has no score and no noise"},
              {is_sequence_alone(model) && !model.design(),
               "model.mpnn and model.dynamic_mpnn need model.design: the sequence is all that they generate"},
              {model.mpnn() && model.dynamic_mpnn(),
               "model.mpnn and model.dynamic_mpnn exclude each other: one sees the first frame, the other "
               "both ends"},
              {model.design_key_frames() && spec.data().num_frames() < 2,
               "model.design_key_frames needs data.num_frames of at least 2: it changes the first and the "
               "last frame"}});
}

// The sequence's flow goes from concentration 1 to alpha_max, by softmax(logits / temperature).
void check_sequence_flow(const v1::JobSpec& spec, std::vector<std::string>& texts) {
  if (!spec.model().design()) return;
  const v1::TransportSpec& transport = spec.transport();
  add(texts, {{transport.alpha_max() <= 1, "transport.alpha_max must be above 1, not " +
                                               number_text(transport.alpha_max()) +
                                               ": at 1 the sequence never leaves noise"},
              {transport.discrete_loss_weight() < 0 || transport.discrete_loss_weight() > 1,
               "transport.discrete_loss_weight must be from 0 to 1, not " +
                   number_text(transport.discrete_loss_weight())},
              {transport.dirichlet_flow_temp() <= 0, "transport.dirichlet_flow_temp must be above 0, not " +
                                                         number_text(transport.dirichlet_flow_temp())}});
}

void check_no_frames(const v1::JobSpec& spec, std::vector<std::string>& texts) {
  const v1::ModelSpec& model = spec.model();
  if (!model.no_frames()) return;
  const std::string conditioning = names_of({{model.tps_condition(), "tps_condition"},
                                             {model.inpainting(), "inpainting"},
                                             {model.mpnn(), "mpnn"},
                                             {model.dynamic_mpnn(), "dynamic_mpnn"},
                                             {model.has_cond_interval(), "cond_interval"}});
  const std::string attention =
      names_of({{model.prepend_ipa(), "prepend_ipa"}, {model.interleave_ipa(), "interleave_ipa"}});
  add(texts, {{!conditioning.empty(), "model.no_frames goes with model.sim_condition only, not with " +
                                          conditioning + ", which the reference ignores beside it"},
              {!attention.empty(), "model.no_frames leaves no frames for " + attention},
              {model.design(), "model.no_frames excludes model.design"},
              {spec.data().atlas(),
               "model.no_frames excludes data.atlas: the reference neither crops nor pads atom positions"}});
}

bool differs(double value, double standard) { return value != standard; }

void find_idle_design(const v1::JobSpec& spec, std::vector<std::string>& texts) {
  const v1::ModelSpec& model = spec.model();
  if (model.design() && !is_sequence_alone(model)) return;
  const v1::TransportSpec& given = spec.transport();
  const v1::TransportSpec& standard = default_spec().transport();
  const std::string why = model.design()
                              ? " has no effect with mpnn and dynamic_mpnn: their sequence does not flow"
                              : " has no effect without model.design";
  add(texts, {{differs(given.alpha_max(), standard.alpha_max()), "transport.alpha_max" + why},
              {differs(given.discrete_loss_weight(), standard.discrete_loss_weight()),
               "transport.discrete_loss_weight" + why},
              {differs(given.dirichlet_flow_temp(), standard.dirichlet_flow_temp()),
               "transport.dirichlet_flow_temp" + why},
              {given.allow_nan_cfactor(), "transport.allow_nan_cfactor" + why}});
}

}  // namespace

std::vector<std::string> refused_combinations(const v1::JobSpec& resolved) {
  const v1::ModelSpec& model = resolved.model();
  std::vector<std::string> texts;
  check_design(resolved, texts);
  check_sequence_flow(resolved, texts);
  check_no_frames(resolved, texts);
  add(texts, {{model.supervise_all_torsions() && model.supervise_no_torsions(),
               "model.supervise_all_torsions and model.supervise_no_torsions exclude each other"}});
  return texts;
}

std::vector<std::string> idle_flags(const v1::JobSpec& resolved) {
  const v1::ModelSpec& model = resolved.model();
  const std::string of_frames = names_of({{model.no_torsion(), "no_torsion"},
                                          {model.no_design_torsion(), "no_design_torsion"},
                                          {model.no_offsets(), "no_offsets"},
                                          {model.design_key_frames(), "design_key_frames"},
                                          {model.supervise_all_torsions(), "supervise_all_torsions"},
                                          {model.supervise_no_torsions(), "supervise_no_torsions"}});
  const std::string of_torsion_loss = names_of({{model.supervise_all_torsions(), "supervise_all_torsions"},
                                                {model.supervise_no_torsions(), "supervise_no_torsions"}});
  const v1::OptimSpec& optim = resolved.optim();
  const std::int32_t frames = resolved.data().num_frames();
  std::vector<std::string> texts;
  add(texts,
      {{model.no_frames() && !of_frames.empty(),
        "no effect under model.no_frames, which has neither frames nor torsions: " + of_frames},
       {is_sequence_alone(model) && !of_torsion_loss.empty(),
        "no effect with mpnn and dynamic_mpnn, whose loss is the sequence's alone: " + of_torsion_loss},
       {model.no_torsion() && model.no_design_torsion(),
        "model.no_design_torsion has no effect under model.no_torsion, which zeroes every torsion"},
       {model.no_aa_emb() && !model.prepend_ipa(),
        "model.no_aa_emb has no effect without model.prepend_ipa, which alone reads the residue types"},
       {!optim.auto_precision().empty() && optim.precision() != "auto",
        "optim.auto_precision has no effect with optim.precision " + optim.precision() + ", only with auto"},
       {optim.recompute() == "attention" && !optim.grad_checkpointing(),
        "optim.recompute has no effect without optim.grad_checkpointing"},
       {model.has_cond_interval() && model.cond_interval() >= frames,
        "model.cond_interval = " + std::to_string(model.cond_interval()) +
            " gives the first frame only: a sample has data.num_frames = " + std::to_string(frames)}});
  find_idle_design(resolved, texts);
  return texts;
}

}  // namespace mdgen::config
