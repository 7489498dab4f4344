#include "core/model/latent_layout.h"

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::model {
namespace {

constexpr int kFrame = 7;
constexpr int kTorsions = 14;
constexpr int kAtom37 = 37 * 3;
constexpr int kSequence = 20;

}  // namespace

LatentLayout latent_layout(const v1::ModelSpec& spec) {
  const bool from_both_ends = spec.tps_condition() || spec.inpainting() || spec.dynamic_mpnn();
  LatentLayout layout;
  int next = 0;
  const auto take = [&next](bool has, int size) {
    const Channels part{next, has ? size : 0};
    next = part.end();
    return part;
  };
  layout.offsets = take(!spec.no_frames(), kFrame);
  layout.second_offsets = take(!spec.no_frames() && from_both_ends, kFrame);
  layout.torsions = take(!spec.no_frames(), kTorsions);
  layout.atom37 = take(spec.no_frames(), kAtom37);
  layout.sequence = take(spec.design(), kSequence);
  return layout;
}

}  // namespace mdgen::model
