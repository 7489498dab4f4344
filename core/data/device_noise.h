// The noise of draws.h by tensor operations, on any device.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace mdgen::data {

// draw_noise() for a batch: (B, frames, residues, channels) float32 on the device of the three int64 tensors
// (B), which name each sample's epoch, virtual sample and first residue (its number in the protein).
// Counters, words and uniforms are exact, so the normals differ from the host's by a few units in the last
// place.
at::Tensor device_noise(std::uint64_t seed, const at::Tensor& epochs, const at::Tensor& samples,
                        const at::Tensor& first_residues, std::int64_t frames, std::int64_t residues,
                        std::int64_t channels);

}  // namespace mdgen::data
