// What decides the bits that a rank computes, beside spec and data: under determinism: strict all ranks of a
// group must have the same.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::train {

// Names for people ("CPU", "instructions", "kernels", "threads", "LibTorch", "GPU", …) and their values, in
// one order.
using Fingerprint = std::vector<std::pair<std::string, std::string>>;

// Of this process: the CPU's model, the instruction sets that LibTorch's kernels and our own chose, threads,
// versions of the libraries that compute; on CUDA also the GPU's model and its libraries.
Fingerprint fingerprint(at::Device device);

// Nothing when all are equal; otherwise what differs and which ranks have which value:
//   "instructions: AVX512 on ranks 0, 2; AVX2 on rank 1"
std::optional<std::string> fingerprint_difference(const std::vector<Fingerprint>& by_rank);

// Throws RunFailure(MixedHardware) with that text on every rank. Every rank must call it with its own.
void require_equal_fingerprints(comm::Collective& collective, at::Device device, const Fingerprint& mine);

}  // namespace mdgen::train
