// Adaptive layer norm's elementwise part (reference: layers.py modulate, latent_model.py):
//   y = x + gate * f                                        the gated residual
//   n = shift + layer_norm(y, eps 1e-6, no weights) * (1 + scale)
// x and f are (B, L, C) or (B, T, L, C), f also as a transposed view; shift, scale and gate are (B, 1, …, 1,
// C). Differentiable in every tensor, once.
//
// On the CPU, with x in float32, f in float32 or bfloat16, and C a multiple of 16, an own kernel goes over
// the rows once forward and once backward (core/kernels/cpu/norm_rows.h); it keeps y, f and two numbers a
// row. Shifts, scales and gates are taken in float32. The gradients of shift, scale and gate are sums over
// fixed blocks of rows, added in their order: nothing depends on the number of threads. Otherwise ATen's
// composition, which defines the operation.
#pragma once

#include <torch/torch.h>

#include <utility>

namespace mdgen::kernels {

struct NormOutput {
  // What follows is a linear layer that autocast would run in bfloat16 anyhow: n may come in bfloat16 where
  // autocast is on. The same bits as a cast afterwards.
  bool for_linear = false;
  // n's dimensions 1 and 2 lie exchanged in memory: n.transpose(1, 2) is contiguous.
  bool transposed = false;
};

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                          NormOutput output = {});

// {y, n}.
std::pair<at::Tensor, at::Tensor> gated_modulated_norm(const at::Tensor& x, const at::Tensor& gate,
                                                       const at::Tensor& f, const at::Tensor& shift,
                                                       const at::Tensor& scale, NormOutput output = {});

// y alone.
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& f);

// The compositions.
at::Tensor modulated_norm_reference(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);
at::Tensor gated_residual_reference(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& f);

}  // namespace mdgen::kernels
