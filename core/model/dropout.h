// Dropout of attention probabilities whose every element is a pure function of counters, not of a generator's
// state: the sample's key, the part of the model, the head, and the numbers of frame, query and key. So a
// sample drops the same elements whatever its batch, its padding, the number of ranks, a restart, or a
// recomputation of its activations.
//
// Where: on the probabilities of the attention along residues and frames and of IPA, as the reference has it
// (mha.py, ipa.py); not in the feed-forward, nor in Hyena.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace mdgen::model {

// What the queries and keys of an attention are numbered by.
enum class Along { kResidues, kFrames };

// Cheap to copy. Thread contract: none of its own, as tensors.
class Dropout {
 public:
  // Drops nothing.
  Dropout() = default;
  // `rate` in [0, 1]: the share dropped. `key` (B) int64, one per draw of a sample; `first_residue` (B)
  // int64: the number in the protein of the first residue. Throws Error for a missing or misshapen tensor.
  Dropout(double rate, const at::Tensor& key, const at::Tensor& first_residue);

  bool active() const { return rate_ > 0; }

  // The same dropout with a stream of its own for a part of the model (a stack, a layer of it, an attention
  // of the layer, one of two passes through it); parts nest.
  Dropout of(std::uint32_t part) const;

  // Of a batch that holds `a`'s samples, then `b`'s.
  static Dropout cat(const Dropout& a, const Dropout& b);

  // `probabilities` (B * M, H, S, S or S + 1), the last key of S + 1 being the bias token: zero where
  // dropped, divided by 1 - rate elsewhere. Along residues, M counts frames and S residues; along frames, M
  // counts residues and S frames.
  at::Tensor apply(const at::Tensor& probabilities, Along along) const;

 private:
  double rate_ = 0;
  at::Tensor stream_;         // (B) int64, 32 random bits: key and parts, hashed
  at::Tensor first_residue_;  // (B)
};

// 1 where hash(rows[r], columns[n, c]) < `threshold`, for apply() and its tests: rows (N, …) and columns (N,
// K) int64 in [0, 2^32), result (N, …, K) bool. The first is a loop on the CPU, the second the same function
// in integer operations of any device.
at::Tensor dropped_on_cpu(const at::Tensor& rows, const at::Tensor& columns, std::int64_t threshold);
at::Tensor dropped_on_any_device(const at::Tensor& rows, const at::Tensor& columns, std::int64_t threshold);

}  // namespace mdgen::model
