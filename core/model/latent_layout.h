// Which channels of a token's latents are what: the one place that knows.
#pragma once

namespace mdgen::v1 {
class ModelSpec;
}

namespace mdgen::model {

// `size` channels from `begin`; a part that a mode does not have has size 0.
struct Channels {
  int begin = 0;
  int size = 0;
  int end() const { return begin + size; }
};

struct LatentLayout {
  Channels offsets;         // 7: quaternion (w, x, y, z) and translation against the first frame (no_offsets:
                            // of the frame itself)
  Channels second_offsets;  // 7, under tps_condition, inpainting and dynamic_mpnn: against the last frame
  Channels torsions;        // 14: sine and cosine of seven angles
  Channels atom37;          // 111, under no_frames and then alone: positions in Å
  Channels sequence;        // 20, under design: a point of the simplex over the residue types; always last

  // What prepare() makes, noise and conditioning have: everything but the sequence.
  int continuous() const { return sequence.begin; }
  // What the model takes and gives.
  int total() const { return sequence.end(); }
};
LatentLayout latent_layout(const v1::ModelSpec& spec);

}  // namespace mdgen::model
