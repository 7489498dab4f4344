// A step's samples, cut into micro-batches of similar length, and what one costs: pure functions of the
// samples and the lengths, never of the world size. No LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

using MicroBatch = std::vector<std::uint32_t>;  // virtual samples; sample v is entry v % entries

// How large a data set's samples are for the model.
struct SampleSizes {
  std::vector<std::int32_t> residues{1};  // by entry: residues that a batch of this sample alone has
  std::int32_t frames = 1;
  std::int32_t width = 0;  // model.embed_dim

  std::int32_t of(std::uint32_t sample) const { return residues[sample % residues.size()]; }
};
SampleSizes sample_sizes(const v1::JobSpec& resolved, const v1::Manifest& manifest);

// Work of a micro-batch of `samples` samples with `residues` residues each, padding included, in units that
// are the same within a job: B T L (8 width + T + L). These are the multiplications of a block of the model
// over 2 width: 16 width² a token in the projections and the MLP, 2 width T in the attention over frames,
// 2 width L in the one over residues. (At width 384 and T = 250 the last is 7 % of the work at L = 256; the
// layers on one frame only are left out, they are 1/T of it.)
double micro_batch_cost(const SampleSizes& sizes, std::int64_t samples, std::int32_t residues);
double micro_batch_cost(const SampleSizes& sizes, const MicroBatch& batch);  // at least one sample

// Cuts `samples` into micro-batches of at most batch_size, each sample in one. Samples of similar length are
// taken together, the longest first, and a batch ends also where one more sample would take its residues
// beyond what batch_size average samples have, in whole samples of the longest:
//   count x residues <= ceil(batch_size x mean / longest) x longest
// so that one micro-batch of the longest samples does not cost far more than the others. Inside a batch and
// among them (by their first sample) the order of `samples` is kept; so samples of equal length are cut every
// batch_size, in order.
std::vector<MicroBatch> micro_batches(const std::vector<std::uint32_t>& samples, const SampleSizes& sizes,
                                      std::uint32_t batch_size);

}  // namespace mdgen::data
