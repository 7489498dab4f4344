// Hyena along time in place of attention (Poli et al., 2023, arXiv:2302.10866; reference:
// standalone_hyena.py): two gates and one long convolution whose filter is a small network's answer to "which
// tap". Names and sizes are the reference's: order 2, a filter network of width 64, three sine layers that
// share their frequencies.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/model/linear.h"

namespace mdgen::model {

inline constexpr std::int64_t kShortFilterTaps = 3;

// What the filter network sees of each tap: (1, length, 3) of its place in [0, 1], and the real and imaginary
// part of exp(-i f w), w = 2 pi tap / length, f = 1e-4.
at::Tensor filter_positions(std::int64_t length);

// u (N, C, T), taps (C, T): y_i = sum over j <= i of taps_{i - j} u_j. Backwards (the reference, whose cut of
// the product begins T - 1 places late): y_i = sum over j >= i of taps_{T - 1 - (j - i)} u_j. By FFT, in
// float32 at least.
at::Tensor long_convolution(const at::Tensor& u, const at::Tensor& taps, bool backwards);

class SineImpl : public torch::nn::Module {
 public:
  explicit SineImpl(std::int64_t dim);
  at::Tensor forward(const at::Tensor& x) { return at::sin(freq_ * x); }

 private:
  at::Tensor freq_;  // (1, dim)
};
TORCH_MODULE(Sine);

class FilterPositionsImpl : public torch::nn::Module {
 public:
  explicit FilterPositionsImpl(std::int64_t length);
  at::Tensor z(std::int64_t taps) const { return z_.narrow(1, 0, taps); }
  at::Tensor t(std::int64_t taps) const { return t_.narrow(1, 0, taps); }

 private:
  at::Tensor z_;  // (1, length, 3), learned
  at::Tensor t_;  // (1, length, 1), buffer: the place in [0, 1]
};
TORCH_MODULE(FilterPositions);

class FilterDecayImpl : public torch::nn::Module {
 public:
  explicit FilterDecayImpl(std::int64_t dim);
  at::Tensor forward(const at::Tensor& t, const at::Tensor& h) { return h * at::exp(-t * deltas_.abs()); }

 private:
  at::Tensor deltas_;  // (1, 1, dim), buffer: from slow to fast channels
};
TORCH_MODULE(FilterDecay);

class HyenaFilterImpl : public torch::nn::Module {
 public:
  HyenaFilterImpl(std::int64_t dim, std::int64_t length);

  at::Tensor forward(std::int64_t taps);            // (dim, taps)
  const at::Tensor& bias() const { return bias_; }  // (dim): the weight of the frame itself, added to tap 0

 private:
  at::Tensor bias_;
  FilterPositions pos_emb_;
  torch::nn::Sequential implicit_filter_;
  FilterDecay modulation_;
};
TORCH_MODULE(HyenaFilter);

class HyenaOperatorImpl : public torch::nn::Module {
 public:
  // `length`: the most frames it can mix.
  HyenaOperatorImpl(std::int64_t dim, std::int64_t length, bool backwards);

  // x (N, T, C) without padding. Throws Error when T > length.
  at::Tensor forward(const at::Tensor& x);

 private:
  std::int64_t length_;
  bool backwards_;
  Linear in_proj_, out_proj_;
  torch::nn::Conv1d short_filter_;
  HyenaFilter filter_fn_;
};
TORCH_MODULE(HyenaOperator);

}  // namespace mdgen::model
