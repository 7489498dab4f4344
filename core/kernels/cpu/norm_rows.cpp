#include "core/kernels/cpu/norm_rows.h"

#include <math.h>

#include "core/kernels/cpu/vector.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {
namespace {

struct In {
  const float* f32;
  const std::uint16_t* bf16;
  bool exists() const { return f32 != nullptr || bf16 != nullptr; }
  Floats at(std::int64_t c) const { return f32 != nullptr ? load(f32 + c) : load_bf16(bf16 + c); }
};

struct Out {
  float* f32;
  std::uint16_t* bf16;
  bool exists() const { return f32 != nullptr || bf16 != nullptr; }
  void put(std::int64_t c, Floats v) const {
    if (f32 != nullptr) {
      store(f32 + c, v);
    } else {
      store_bf16(bf16 + c, v);
    }
  }
};

In row(const InRows& rows, std::int64_t outer, std::int64_t inner) {
  const std::int64_t at = outer * rows.outer_stride + inner * rows.inner_stride;
  return {rows.f32 != nullptr ? rows.f32 + at : nullptr, rows.bf16 != nullptr ? rows.bf16 + at : nullptr};
}

Out row(const OutRows& rows, std::int64_t outer, std::int64_t inner) {
  const std::int64_t at = outer * rows.outer_stride + inner * rows.inner_stride;
  return {rows.f32 != nullptr ? rows.f32 + at : nullptr, rows.bf16 != nullptr ? rows.bf16 + at : nullptr};
}

void add(float* to, std::int64_t c, Floats v) { store(to + c, load(to + c) + v); }

void gated(const In& x, const In& f, const float* gate, const Out& y, std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; c += kLanes) y.put(c, x.at(c) + load(gate + c) * f.at(c));
}

void normalise(const float* y, const NormRows& rows, std::int64_t r, const Out& n) {
  const std::int64_t channels = rows.channels;
  Floats total = {};
  for (std::int64_t c = 0; c < channels; c += kLanes) total += load(y + c);
  const float mean = sum(total) / static_cast<float>(channels);
  Floats squares = {};
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const Floats off = load(y + c) - mean;
    squares += off * off;
  }
  const float rstd = 1.0F / sqrtf(sum(squares) / static_cast<float>(channels) + rows.epsilon);
  rows.mean[r] = mean;
  rows.rstd[r] = rstd;
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const Floats normal = (load(y + c) - mean) * rstd;
    n.put(c, load(rows.shift + c) + normal * (1.0F + load(rows.scale + c)));
  }
}

struct RowBackward {
  In y, f, y_grad, n_grad;
  Out x_grad, f_grad;
};

// The gradient of y from that of n: rstd * (h - mean(h) - normal * mean(h * normal)), where h = n_grad * (1 +
// scale).
void norm_gradient(const NormRowsBackward& rows, std::int64_t r, const RowBackward& at) {
  const std::int64_t channels = rows.channels;
  const float mean = rows.mean[r];
  const float rstd = rows.rstd[r];
  Floats h_total = {}, projected = {};
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const Floats g = at.n_grad.at(c);
    const Floats normal = (at.y.at(c) - mean) * rstd;
    const Floats h = g * (1.0F + load(rows.scale + c));
    h_total += h;
    projected += h * normal;
    add(rows.shift_sum, c, g);
    add(rows.scale_sum, c, g * normal);
  }
  const float h_mean = sum(h_total) / static_cast<float>(channels);
  const float along = sum(projected) / static_cast<float>(channels);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const Floats normal = (at.y.at(c) - mean) * rstd;
    const Floats h = at.n_grad.at(c) * (1.0F + load(rows.scale + c));
    const Floats carried = at.y_grad.exists() ? at.y_grad.at(c) : Floats{};
    at.x_grad.put(c, carried + (h - h_mean - normal * along) * rstd);
  }
}

void gate_gradient(const NormRowsBackward& rows, const RowBackward& at, const In& total) {
  for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
    const Floats g = total.at(c);
    at.f_grad.put(c, g * load(rows.gate + c));
    add(rows.gate_sum, c, g * at.f.at(c));
  }
}

}  // namespace

void norm_rows(const NormRows& rows) {
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    const std::int64_t outer = r / rows.inner;
    const std::int64_t inner = r % rows.inner;
    const In x = row(rows.x, outer, inner);
    const In f = row(rows.f, outer, inner);
    const Out y = row(rows.y, outer, inner);
    if (f.exists()) gated(x, f, rows.gate, y, rows.channels);
    const Out n = row(rows.n, outer, inner);
    if (n.exists()) normalise(f.exists() ? y.f32 : x.f32, rows, r, n);
  }
}

void norm_rows_backward(const NormRowsBackward& rows) {
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    const std::int64_t outer = r / rows.inner;
    const std::int64_t inner = r % rows.inner;
    const RowBackward at = {row(rows.y, outer, inner),      row(rows.f, outer, inner),
                            row(rows.y_grad, outer, inner), row(rows.n_grad, outer, inner),
                            row(rows.x_grad, outer, inner), row(rows.f_grad, outer, inner)};
    if (at.n_grad.exists()) norm_gradient(rows, r, at);
    if (!at.f.exists()) continue;
    gate_gradient(rows, at, at.n_grad.exists() ? In{at.x_grad.f32, nullptr} : at.y_grad);
  }
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
