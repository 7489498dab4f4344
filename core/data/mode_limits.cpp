#include "core/data/mode_limits.h"

#include <algorithm>
#include <vector>

#include "core/base/text.h"

namespace mdgen::data {
namespace {

constexpr std::int32_t kPeptide = 4;  // the modes of design point at the residues of a tetrapeptide

std::vector<std::string> pointing_modes(const v1::ModelSpec& model) {
  std::vector<std::string> names;
  if (model.design()) names.emplace_back("design");
  if (model.inpainting()) names.emplace_back("inpainting");
  if (model.mpnn()) names.emplace_back("mpnn");
  if (model.dynamic_mpnn()) names.emplace_back("dynamic_mpnn");
  if (model.no_design_torsion()) names.emplace_back("no_design_torsion");
  return names;
}

}  // namespace

std::string length_problem(const v1::JobSpec& resolved, std::int32_t residues) {
  const v1::ModelSpec& model = resolved.model();
  const bool atlas = resolved.data().atlas();
  const std::int32_t crop = resolved.data().crop();
  const std::int32_t shown = atlas ? std::min(crop, residues) : residues;
  const std::int32_t length = atlas ? crop : residues;
  const std::string has = std::to_string(residues) + " residues" +
                          (length == residues ? "" : " (crop = " + std::to_string(crop) + ")");
  if (model.design_key_frames() && (shown != kPeptide || length != kPeptide)) {
    return has + "; design_key_frames works on exactly 4";
  }
  if (const auto modes = pointing_modes(model); !modes.empty() && shown < kPeptide) {
    return has + "; " + join(modes, ", ") + " needs at least 4: it points at the residues 1 to 4";
  }
  if (model.abs_pos_emb() && length > crop) {
    return has + "; abs_pos_emb has rows for crop = " + std::to_string(crop) + " of them";
  }
  return "";
}

}  // namespace mdgen::data
