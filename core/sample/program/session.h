// The model, ready to sample, and the files that come of it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "core/sample/program/options.h"
#include "core/sample/program/records.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

struct Solved {
  std::vector<at::Tensor> atom14;  // by sample: (T, L, 14, 3) Å, float32 on the CPU
  std::vector<at::Tensor> types;   // by sample: (L) int64, of the residues that the atoms are of
  std::vector<at::Tensor> aatype;  // by sample: (T, L) int64, under design the likeliest of each frame
  std::int64_t evaluations = 0;    // of the network, for the batch

  // Throws Error(kDataLoss) naming `what` when sample `i` has coordinates that are not finite.
  void check_finite(std::size_t i, const std::string& what) const;
};

// Residue types of a sequence of the twenty letters, int64.
at::Tensor residue_types(const std::string& seqres);

// Not thread-safe.
class Session {
 public:
  // Loads weights and device, completes `options`. Throws Error: kFailedPrecondition when the model cannot do
  // what is asked for.
  explicit Session(Options options);

  const Options& options() const { return options_; }
  const v1::JobSpec& spec() const { return spec_; }
  // For Records; `own` are the verb's settings.
  Records::Common common(const Json& own) const;

  // Samples of equal frames and residues at once.
  Solved solve(const std::vector<data::Batch>& starts);

  // The files of one trajectory, as the options say: {stem}.pdb, .xtc, .npy. Their paths, for its record.
  Json write(const std::string& stem, const at::Tensor& atom14, const at::Tensor& types) const;

 private:
  Options options_;
  v1::JobSpec spec_;
  model::LatentModel model_{nullptr};
  at::Device device_{at::kCPU};
  Json weights_;  // settings
  Json information_;
};

}  // namespace mdgen::sample
