#include "core/kernels/modulated_norm.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <initializer_list>

#include "core/kernels/block_sums.h"
#include "core/kernels/cpu/norm_rows.h"

namespace mdgen::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kEpsilon = 1e-6;
constexpr std::int64_t kBlock = 64;  // rows whose sums are made together
constexpr std::int64_t kLanes = 16;

bool fits_rows(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return known && x.is_cpu() && x.layout() == at::kStrided && x.stride(-1) == 1;
}

bool fits_modulation(const at::Tensor& m, const at::Tensor& x) {
  return m.is_cpu() && m.size(0) == x.size(0) && m.numel() == x.size(0) * x.size(-1) &&
         m.scalar_type() != at::kDouble;
}

// Whether the kernel takes it; f may be undefined.
bool fits(const at::Tensor& x, const at::Tensor& f, std::initializer_list<at::Tensor> modulations) {
  if ((x.dim() != 3 && x.dim() != 4) || x.numel() == 0 || x.size(-1) % kLanes != 0) return false;
  if (x.scalar_type() != at::kFloat || !fits_rows(x)) return false;
  if (f.defined() && (f.sizes() != x.sizes() || !fits_rows(f))) return false;
  return std::all_of(modulations.begin(), modulations.end(),
                     [&](const at::Tensor& m) { return fits_modulation(m, x); });
}

// (B, C), contiguous float32.
at::Tensor flat(const at::Tensor& modulation, const at::Tensor& x) {
  return modulation.reshape({x.size(0), x.size(-1)}).to(at::kFloat).contiguous();
}

const float* of_sample(const at::Tensor& flat, std::int64_t sample) {
  return flat.defined() ? flat.const_data_ptr<float>() + sample * flat.size(-1) : nullptr;
}

template <class Rows>
Rows rows_of(const at::Tensor& tensor, std::int64_t sample) {
  Rows rows;
  if (!tensor.defined()) return rows;
  const std::int64_t at = sample * tensor.stride(0);
  if (tensor.scalar_type() == at::kFloat) {
    rows.f32 = tensor.data_ptr<float>() + at;
  } else {
    rows.bf16 = reinterpret_cast<std::uint16_t*>(tensor.data_ptr<at::BFloat16>()) + at;
  }
  rows.inner_stride = tensor.stride(-2);
  rows.outer_stride = tensor.dim() == 4 ? tensor.stride(1) : 0;
  return rows;
}

struct Extent {
  explicit Extent(const at::Tensor& x)
      : samples(x.size(0)),
        rows(x.numel() / x.size(0) / x.size(-1)),
        inner(x.size(-2)),
        channels(x.size(-1)),
        blocks((rows + kBlock - 1) / kBlock) {}
  std::int64_t samples, rows, inner, channels, blocks;

  // work(sample, block, first row, end row), in parallel.
  template <class Work>
  void for_each_block(const Work& work) const {
    at::parallel_for(0, samples * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i % blocks * kBlock;
        work(i / blocks, i % blocks, first, std::min(first + kBlock, rows));
      }
    });
  }
};

bool autocasts_to_bf16() {
  return at::autocast::is_autocast_enabled(at::kCPU) &&
         at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
}

at::Tensor empty_norm(const at::Tensor& x, bool half, bool transposed) {
  const auto options = x.options().dtype(half ? at::kBFloat16 : at::kFloat);
  if (!transposed) return at::empty(x.sizes(), options);
  return at::empty_like(x.transpose(1, 2), options, at::MemoryFormat::Contiguous).transpose(1, 2);
}

struct Results {
  at::Tensor y, n, mean, rstd;
};

// Without f no y; without scale no n.
Results run_forward(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& f, const at::Tensor& shift,
                    const at::Tensor& scale, bool half, bool transposed) {
  const Extent extent(x);
  Results out;
  if (f.defined()) out.y = at::empty(x.sizes(), x.options());
  if (scale.defined()) {
    out.n = empty_norm(x, half, transposed);
    out.mean = at::empty({extent.samples, extent.rows}, x.options());
    out.rstd = at::empty_like(out.mean);
  }
  const auto kernel = MDGEN_PICK(norm_rows);
  extent.for_each_block([&](std::int64_t sample, std::int64_t, std::int64_t first, std::int64_t end) {
    cpu::NormRows rows;
    rows.begin = first;
    rows.end = end;
    rows.inner = extent.inner;
    rows.channels = extent.channels;
    rows.epsilon = static_cast<float>(kEpsilon);
    rows.x = rows_of<cpu::InRows>(x, sample);
    rows.f = rows_of<cpu::InRows>(f, sample);
    rows.gate = of_sample(gate, sample);
    rows.shift = of_sample(shift, sample);
    rows.scale = of_sample(scale, sample);
    rows.y = rows_of<cpu::OutRows>(out.y, sample);
    rows.n = rows_of<cpu::OutRows>(out.n, sample);
    if (out.n.defined()) {
      rows.mean = out.mean.data_ptr<float>() + sample * extent.rows;
      rows.rstd = out.rstd.data_ptr<float>() + sample * extent.rows;
    }
    kernel(rows);
  });
  return out;
}

struct Gradients {
  at::Tensor x, f, gate, shift, scale;
};

struct Saved {
  at::Tensor y, f, gate, scale, mean, rstd;
};

at::Tensor with_rows(const at::Tensor& gradient) {
  return !gradient.defined() || fits_rows(gradient) ? gradient : gradient.to(at::kFloat).contiguous();
}

Gradients run_backward(const Saved& saved, const at::Tensor& given_y, const at::Tensor& given_n) {
  const at::Tensor n_grad = with_rows(given_n);
  at::Tensor y_grad = with_rows(given_y);
  const at::Tensor& y = saved.y.defined() ? saved.y : saved.f;  // for its sizes
  if (!y_grad.defined() && !n_grad.defined()) return {};
  const Extent extent(y);
  Gradients out;
  if (n_grad.defined()) out.x = at::empty(y.sizes(), y.options().dtype(at::kFloat));
  if (saved.f.defined()) out.f = at::empty_like(saved.f);
  at::Tensor sums = at::zeros({3, extent.samples, extent.blocks, extent.channels}, at::kFloat);
  const auto kernel = MDGEN_PICK(norm_rows_backward);
  extent.for_each_block([&](std::int64_t sample, std::int64_t block, std::int64_t first, std::int64_t end) {
    cpu::NormRowsBackward rows;
    rows.begin = first;
    rows.end = end;
    rows.inner = extent.inner;
    rows.channels = extent.channels;
    rows.y = rows_of<cpu::InRows>(saved.y, sample);
    rows.f = rows_of<cpu::InRows>(saved.f, sample);
    rows.y_grad = rows_of<cpu::InRows>(y_grad, sample);
    rows.n_grad = rows_of<cpu::InRows>(n_grad, sample);
    rows.gate = of_sample(saved.gate, sample);
    rows.scale = of_sample(saved.scale, sample);
    if (n_grad.defined()) {
      rows.mean = saved.mean.const_data_ptr<float>() + sample * extent.rows;
      rows.rstd = saved.rstd.const_data_ptr<float>() + sample * extent.rows;
    }
    rows.x_grad = rows_of<cpu::OutRows>(out.x, sample);
    rows.f_grad = rows_of<cpu::OutRows>(out.f, sample);
    float* to = sums.data_ptr<float>() + (sample * extent.blocks + block) * extent.channels;
    const std::int64_t part = sums.stride(0);
    rows.gate_sum = to;
    rows.shift_sum = to + part;
    rows.scale_sum = to + 2 * part;
    kernel(rows);
  });
  const at::Tensor total = sum_of_blocks(sums.flatten(0, 1)).unflatten(0, {3, extent.samples});
  if (!out.x.defined()) out.x = y_grad;
  if (saved.f.defined()) out.gate = total[0];
  if (n_grad.defined()) {
    out.shift = total[1];
    out.scale = total[2];
  }
  return out;
}

// x, shift, scale -> n
struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& shift,
                            const at::Tensor& scale, bool half, bool transposed) {
    const Results out = run_forward(x, {}, {}, shift, scale, half, transposed);
    ctx->save_for_backward({x, scale, out.mean, out.rstd});
    return out.n;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Gradients of = run_backward(
        {.y = saved[0], .f = {}, .gate = {}, .scale = saved[1], .mean = saved[2], .rstd = saved[3]}, {},
        grads[0]);
    return {of.x, of.shift, of.scale, {}, {}};
  }
};

// x, gate, f, shift, scale -> y, n
struct GatedModulatedNorm : torch::autograd::Function<GatedModulatedNorm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& gate,
                               const at::Tensor& f, const at::Tensor& shift, const at::Tensor& scale,
                               bool half, bool transposed) {
    const Results out = run_forward(x, gate, f, shift, scale, half, transposed);
    ctx->set_materialize_grads(false);
    ctx->save_for_backward({out.y, f, gate, scale, out.mean, out.rstd});
    return {out.y, out.n};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Gradients of =
        run_backward({saved[0], saved[1], saved[2], saved[3], saved[4], saved[5]}, grads[0], grads[1]);
    return {of.x, of.gate, of.f, of.shift, of.scale, {}, {}};
  }
};

// x, gate, f -> y
struct GatedResidual : torch::autograd::Function<GatedResidual> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& gate,
                            const at::Tensor& f) {
    ctx->save_for_backward({f, gate});
    return run_forward(x, gate, f, {}, {}, false, false).y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Gradients of = run_backward(
        {.y = {}, .f = saved[0], .gate = saved[1], .scale = {}, .mean = {}, .rstd = {}}, grads[0], {});
    return {of.x, of.gate, of.f};
  }
};

bool transposes(const at::Tensor& x, NormOutput output) { return output.transposed && x.dim() == 4; }

}  // namespace

at::Tensor modulated_norm_reference(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  return at::addcmul(shift, at::layer_norm(x, {x.size(-1)}, {}, {}, kEpsilon), 1 + scale);
}

at::Tensor gated_residual_reference(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& f) {
  return at::addcmul(x, gate, f);
}

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                          NormOutput output) {
  if (!fits(x, {}, {shift, scale})) return modulated_norm_reference(x, shift, scale);
  return ModulatedNorm::apply(x, flat(shift, x), flat(scale, x), output.for_linear && autocasts_to_bf16(),
                              transposes(x, output));
}

std::pair<at::Tensor, at::Tensor> gated_modulated_norm(const at::Tensor& x, const at::Tensor& gate,
                                                       const at::Tensor& f, const at::Tensor& shift,
                                                       const at::Tensor& scale, NormOutput output) {
  if (!fits(x, f, {gate, shift, scale})) {
    const at::Tensor y = gated_residual_reference(x, gate, f);
    return {y, modulated_norm_reference(y, shift, scale)};
  }
  const auto out = GatedModulatedNorm::apply(x, flat(gate, x), f, flat(shift, x), flat(scale, x),
                                             output.for_linear && autocasts_to_bf16(), transposes(x, output));
  return {out[0], out[1]};
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& f) {
  if (!fits(x, f, {gate})) return gated_residual_reference(x, gate, f);
  return GatedResidual::apply(x, flat(gate, x), f);
}

}  // namespace mdgen::kernels
