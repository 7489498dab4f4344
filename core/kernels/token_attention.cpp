#include "core/kernels/token_attention.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>

#include "core/kernels/block_sums.h"
#include "core/kernels/cpu/head_attention.h"
#include "core/kernels/cpu/lane_attention.h"

namespace mdgen::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kShort = 64;  // positions
constexpr std::int64_t kBlocks =
    256;  // of sequences, at most: each has its own sums of the token's gradients

// (N1, N2, S, C) -> (N1, N2, H, S, D), a view.
at::Tensor by_head(const at::Tensor& x, std::int64_t heads) {
  return x.unflatten(-1, {heads, -1}).transpose(-2, -3);
}

bool fits_rows(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return known && x.is_cpu() && x.layout() == at::kStrided && x.dim() == 4 && x.stride(-1) == 1;
}

// Whether the kernel takes it.
bool fits(const TokenAttention& in) {
  const at::Tensor& q = in.q;
  if (!fits_rows(q) || !fits_rows(in.k) || !fits_rows(in.v) || q.numel() == 0) return false;
  if (in.k.sizes() != q.sizes() || in.v.sizes() != q.sizes()) return false;
  if (in.k.scalar_type() != q.scalar_type() || in.v.scalar_type() != q.scalar_type()) return false;
  const at::Tensor& bias = in.bias;
  const bool bias_fits =
      bias.is_cpu() && bias.size(-1) == q.size(2) + 1 && !bias.requires_grad() &&
      (bias.numel() == bias.size(-1) || bias.numel() == q.size(0) * q.size(1) * bias.size(-1));
  return bias_fits && in.token_k.is_cpu() && in.token_k.scalar_type() != at::kDouble;
}

// The rotation's table: (S + 1, D / 2) cosines and sines, the last row the token's.
struct Angles {
  at::Tensor cos, sin;
};

Angles angles_of(const at::Tensor& inv_freq, std::int64_t positions, std::int64_t token_position) {
  if (!inv_freq.defined()) return {};
  at::Tensor at = at::arange(positions + 1, inv_freq.options());
  at[positions] = static_cast<double>(token_position);
  const at::Tensor angles = at::outer(at, inv_freq);
  return {angles.cos(), angles.sin()};
}

const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

// What both directions know.
struct Inputs {
  at::Tensor q, k, v;
  at::Tensor token_k, token_v;  // contiguous float32
  at::Tensor bias;              // (N or 1, S + 1), contiguous float32
  at::Tensor cos, sin;
  std::int64_t heads;

  std::int64_t sequences() const { return q.size(0) * q.size(1); }
  std::int64_t positions() const { return q.size(2); }
  std::int64_t channels() const { return q.size(3); }
  std::int64_t dim() const { return channels() / heads; }
};

template <class Rows>
Rows rows_of(const at::Tensor& x, std::int64_t sequence, std::int64_t channel) {
  Rows rows;
  const std::int64_t outer = sequence / x.size(1);
  const std::int64_t at = outer * x.stride(0) + (sequence - outer * x.size(1)) * x.stride(1) + channel;
  if (x.scalar_type() == at::kFloat) {
    rows.f32 = x.data_ptr<float>() + at;
  } else {
    rows.bf16 = reinterpret_cast<std::uint16_t*>(x.data_ptr<at::BFloat16>()) + at;
  }
  rows.stride = x.stride(2);
  return rows;
}

cpu::HeadAttention head_of(const Inputs& in, std::int64_t sequence, std::int64_t head, float* workspace) {
  const std::int64_t channel = head * in.dim();
  cpu::HeadAttention of;
  of.positions = in.positions();
  of.dim = in.dim();
  of.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(in.dim())));
  of.q = rows_of<cpu::InHeadRows>(in.q, sequence, channel);
  of.k = rows_of<cpu::InHeadRows>(in.k, sequence, channel);
  of.v = rows_of<cpu::InHeadRows>(in.v, sequence, channel);
  of.token_k = floats(in.token_k) + channel;
  of.token_v = floats(in.token_v) + channel;
  of.bias = floats(in.bias) + (in.bias.size(0) == 1 ? 0 : sequence * in.bias.size(1));
  of.cos = floats(in.cos);
  of.sin = floats(in.sin);
  of.workspace = workspace;
  return of;
}

// How many heads a call of the kernel takes: sixteen of a short sequence, each in a lane of its own, or one.
std::int64_t heads_at_once(const Inputs& in) {
  const bool in_lanes = in.positions() <= kShort && in.heads % cpu::kHeadLanes == 0 &&
                        in.dim() >= cpu::kLeastLaneDim && in.dim() % 2 == 0;
  return in_lanes ? cpu::kHeadLanes : 1;
}

std::int64_t blocks_of(std::int64_t sequences) { return std::min(sequences, kBlocks); }

// work(block, sequence, head, workspace) for all heads that the kernel begins at, in parallel; the sequences
// of a block and head in their order, one after another.
template <class Work>
void for_each_head(const Inputs& in, const Work& work) {
  const std::int64_t sequences = in.sequences();
  const std::int64_t blocks = blocks_of(sequences);
  const std::int64_t step = heads_at_once(in);
  const std::int64_t groups = in.heads / step;
  const auto size = step > 1 ? MDGEN_PICK(lane_attention_workspace) : MDGEN_PICK(head_attention_workspace);
  const std::int64_t floats = size(in.positions(), in.dim());
  at::parallel_for(0, blocks * groups, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor workspace = at::empty({floats}, at::kFloat);
    while (begin < end) {
      const std::int64_t block = begin / groups;
      const std::int64_t stop = std::min(end, (block + 1) * groups);
      for (std::int64_t n = block * sequences / blocks; n < (block + 1) * sequences / blocks; ++n) {
        for (std::int64_t i = begin; i < stop; ++i)
          work(block, n, (i - block * groups) * step, workspace.data_ptr<float>());
      }
      begin = stop;
    }
  });
}

std::pair<at::Tensor, at::Tensor> run_forward(const Inputs& in) {
  const at::Tensor out = at::empty(in.q.sizes(), in.q.options());
  const at::Tensor log_sums = at::empty({in.sequences(), in.heads, in.positions()}, at::kFloat);
  const auto kernel = heads_at_once(in) > 1 ? MDGEN_PICK(lane_attention) : MDGEN_PICK(head_attention);
  for_each_head(in, [&](std::int64_t, std::int64_t n, std::int64_t head, float* workspace) {
    kernel(head_of(in, n, head, workspace), rows_of<cpu::OutHeadRows>(out, n, head * in.dim()),
           log_sums.data_ptr<float>() + (n * in.heads + head) * in.positions());
  });
  return {out, log_sums};
}

struct Gradients {
  at::Tensor q, k, v, token_k, token_v;
};

Gradients run_backward(const Inputs& in, const at::Tensor& log_sums, const at::Tensor& given) {
  const at::Tensor out_grad = fits_rows(given) ? given : given.to(at::kFloat).contiguous();
  const auto like = [](const at::Tensor& x) { return at::empty(x.sizes(), x.options()); };
  Gradients out{like(in.q), like(in.k), like(in.v), {}, {}};
  const at::Tensor sums = at::zeros({2, blocks_of(in.sequences()), in.channels()}, at::kFloat);
  const auto kernel =
      heads_at_once(in) > 1 ? MDGEN_PICK(lane_attention_backward) : MDGEN_PICK(head_attention_backward);
  for_each_head(in, [&](std::int64_t block, std::int64_t n, std::int64_t head, float* workspace) {
    const std::int64_t channel = head * in.dim();
    cpu::HeadAttentionBackward of;
    of.forward = head_of(in, n, head, workspace);
    of.log_sums = log_sums.const_data_ptr<float>() + (n * in.heads + head) * in.positions();
    of.out_grad = rows_of<cpu::InHeadRows>(out_grad, n, channel);
    of.q_grad = rows_of<cpu::OutHeadRows>(out.q, n, channel);
    of.k_grad = rows_of<cpu::OutHeadRows>(out.k, n, channel);
    of.v_grad = rows_of<cpu::OutHeadRows>(out.v, n, channel);
    of.token_k_grad = sums.data_ptr<float>() + block * in.channels() + channel;
    of.token_v_grad = of.token_k_grad + sums.stride(0);
    kernel(of);
  });
  const at::Tensor total = sum_of_blocks(sums);
  out.token_k = total[0];
  out.token_v = total[1];
  return out;
}

// q, k, v, token_k, token_v -> o
struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& token_k, const at::Tensor& token_v,
                            const at::Tensor& bias, const Angles& angles, std::int64_t heads) {
    const Inputs in{q, k, v, token_k, token_v, bias, angles.cos, angles.sin, heads};
    RECORD_FUNCTION("mdgen::token_attention", std::vector<c10::IValue>({q, k}));
    const auto [out, log_sums] = run_forward(in);
    ctx->save_for_backward({q, k, v, token_k, token_v, bias, angles.cos, angles.sin, log_sums});
    ctx->saved_data["heads"] = heads;
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto s = ctx->get_saved_variables();
    const Inputs in{s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], ctx->saved_data["heads"].toInt()};
    RECORD_FUNCTION("mdgen::token_attention_backward", std::vector<c10::IValue>({in.q, in.k}));
    const Gradients of = run_backward(in, s[8], grads[0]);
    return {of.q, of.k, of.v, of.token_k, of.token_v, {}, {}, {}};
  }
};

}  // namespace

at::Tensor rotate_by_position(const at::Tensor& x, const at::Tensor& inv_freq, std::int64_t first) {
  const at::Tensor positions = at::arange(first, first + x.size(-2), inv_freq.options());
  const at::Tensor angles = at::outer(positions, inv_freq);
  const at::Tensor cos = angles.cos();
  const at::Tensor sin = angles.sin();
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

SplitHeads split_heads(const TokenAttention& in) {
  const auto rotated = [&](const at::Tensor& x, std::int64_t first) {
    return in.inv_freq.defined() ? rotate_by_position(x, in.inv_freq, first) : x;
  };
  const auto with_token = [&](const at::Tensor& all, const at::Tensor& token) {
    std::vector<std::int64_t> shape = all.sizes().vec();
    shape[3] = 1;
    return at::cat({all, token.expand(shape)}, -2).flatten(0, 1);
  };
  const auto token = [&](const at::Tensor& of) { return by_head(of.view({1, 1, 1, -1}), in.heads); };
  return {rotated(by_head(in.q, in.heads), 0).flatten(0, 1),
          with_token(rotated(by_head(in.k, in.heads), 0), rotated(token(in.token_k), in.token_position)),
          with_token(by_head(in.v, in.heads), token(in.token_v))};
}

at::Tensor join_heads(const at::Tensor& attended, const TokenAttention& in) {
  return attended.transpose(1, 2).flatten(-2).unflatten(0, {in.q.size(0), in.q.size(1)});
}

at::Tensor token_attention_reference(const TokenAttention& in) {
  const SplitHeads split = split_heads(in);
  const at::ScalarType type = split.v.scalar_type();
  return join_heads(
      at::scaled_dot_product_attention(split.q.to(type), split.k.to(type), split.v, in.bias.to(type)), in);
}

at::Tensor token_attention(const TokenAttention& in) {
  if (!fits(in)) return token_attention_reference(in);
  const auto flat = [](const at::Tensor& token) { return token.reshape({-1}).to(at::kFloat); };
  const at::Tensor bias = in.bias.reshape({-1, in.bias.size(-1)}).to(at::kFloat).contiguous();
  return Attention::apply(in.q, in.k, in.v, flat(in.token_k), flat(in.token_v), bias,
                          angles_of(in.inv_freq, in.q.size(2), in.token_position), in.heads);
}

}  // namespace mdgen::kernels
