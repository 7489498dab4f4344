#include "core/data/padding.h"

#include <algorithm>

#include "core/base/error.h"

namespace mdgen::data {
namespace {

constexpr std::int32_t kKernelMultiple = 8;

// Where the reference's mathematics sees padding, compatibility keeps it: in the loss of torsions and of the
// sequence, in attention without rotary embedding (B19), and in the step sizes of sampled validation batches.
bool padding_counts(const v1::JobSpec& resolved) {
  const v1::ModelSpec& model = resolved.model();
  const bool samples_adaptively =
      resolved.loop().inference_batches() > 0 && resolved.transport().sampling_method() == "dopri5";
  return resolved.reference_compat() &&
         (model.supervise_all_torsions() || model.design() || model.no_rope() || samples_adaptively);
}

}  // namespace

PaddingRules padding_rules(const v1::JobSpec& resolved) {
  PaddingRules rules;
  if (!resolved.data().atlas()) return rules;
  rules.crop = resolved.data().crop();
  rules.trims = resolved.data().padding() == "trimmed" && !padding_counts(resolved);
  rules.multiple = kKernelMultiple;
  return rules;
}

std::int32_t shown_residues(const PaddingRules& rules, std::int32_t protein_residues) {
  return rules.crop > 0 ? std::min(rules.crop, protein_residues) : protein_residues;
}

std::int32_t padded_residues(const PaddingRules& rules, std::span<const std::int32_t> protein_residues) {
  if (protein_residues.empty()) throw Error(ErrorCode::kInternal, "padded_residues: no proteins");
  const std::int32_t longest = *std::max_element(protein_residues.begin(), protein_residues.end());
  if (rules.crop == 0) return longest;
  if (!rules.trims) return rules.crop;
  const std::int32_t rounded = (longest + rules.multiple - 1) / rules.multiple * rules.multiple;
  return std::min(rounded, rules.crop);
}

}  // namespace mdgen::data
