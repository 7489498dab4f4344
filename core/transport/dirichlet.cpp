#include "core/transport/dirichlet.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace mdgen::transport {
namespace {

constexpr int kOthers = kResidueTypes - 1;  // n, the beta functions' second parameter
constexpr int kTailTerms = 64;
constexpr double kTableSpacing = 0.001;
constexpr std::int64_t kTablePoints = 1000;

// n is a whole number, so with q = 1 - b, w_j = (a)_j / j! and h_j = (log w_j)' = sum_{m < j} 1 / (a + m)
//
//   I_b(a, n) = b^a sum_{j < n} w_j q^j = 1 - b^a sum_{j >= n} w_j q^j,
//   c(b, a) = -B b / q^n sum_{j < n} w_j (h_j + log b) q^j = B b / q^n sum_{j >= n} w_j (h_j + log b) q^j.
//
// Each sum is well conditioned on its side of Beta(a, n)'s mean a / (a + n).
struct Term {
  void next() {
    w = w * (a + j) / (j + 1);
    h = h + 1 / (a + j);
    ++j;
  }
  at::Tensor a, w, h;
  int j;
};

// (sum of w_j q^(j - first), sum of w_j h_j q^(j - first)) over first <= j < last.
std::pair<at::Tensor, at::Tensor> power_series(const at::Tensor& q, const at::Tensor& a, int first,
                                               int last) {
  Term term{a, at::ones_like(a), at::zeros_like(a), 0};
  while (term.j < first) term.next();
  std::vector<at::Tensor> plain, sloped;
  for (; term.j < last; term.next()) {
    plain.push_back(term.w);
    sloped.push_back(term.w * term.h);
  }
  at::Tensor sum = at::zeros_like(q);
  at::Tensor slope = at::zeros_like(q);
  for (std::size_t i = plain.size(); i-- > 0;) {
    sum = sum.mul_(q).add_(plain[i]);
    slope = slope.mul_(q).add_(sloped[i]);
  }
  return {sum, slope};
}

// Where the second form of each is the better one.
at::Tensor is_above(const at::Tensor& b, const at::Tensor& a) {
  return b > at::clamp_min(a / (a + kOthers), 0.5);
}

at::Tensor incomplete_beta(const at::Tensor& b, const at::Tensor& a) {
  const at::Tensor power = b.pow(a);
  const at::Tensor q = (1 - b).expand_as(power);
  const at::Tensor below = power * power_series(q, a, 0, kOthers).first;
  const at::Tensor rest = power * power_series(q, a, kOthers, kOthers + kTailTerms).first * q.pow(kOthers);
  return at::where(is_above(b, a), 1 - rest, below);
}

// B(a, n) = (n - 1)! / (a)_n
at::Tensor complete_beta(const at::Tensor& a) {
  at::Tensor value = 1 / a;
  for (int m = 1; m < kOthers; ++m) value = value * m / (a + m);
  return value;
}

// The row of the reference's table nearest to each alpha: (…, kTablePoints).
at::Tensor table_rows(const at::Tensor& alpha) {
  const at::Tensor points = at::linspace(0, 1, kTablePoints, alpha.options());
  const at::Tensor row = 1 + kTableSpacing * ((alpha - 1) / kTableSpacing).round().unsqueeze(-1);
  return (incomplete_beta(points, row + kTableSpacing) - incomplete_beta(points, row)) / kTableSpacing;
}

// rows (B, points) at the abscissae b (B, N) of an even grid over [0, 1].
at::Tensor interpolate(const at::Tensor& rows, const at::Tensor& b) {
  const at::Tensor position = b.clamp(0, 1) * (kTablePoints - 1);
  const at::Tensor cell = at::nan_to_num(position).floor().clamp_max(kTablePoints - 2).to(at::kLong);
  const at::Tensor left = rows.gather(1, cell);
  return left + (rows.gather(1, cell + 1) - left) * (position - cell);
}

// (B) as (B, 1, …), to go with a tensor of `dimensions`.
at::Tensor per_sample(const at::Tensor& values, std::int64_t dimensions) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(dimensions), 1);
  shape.front() = -1;
  return values.view(shape);
}

void require_finite(const at::Tensor& factor, const at::Tensor& simplex) {
  if (at::isfinite(factor).all().item<bool>()) return;
  throw Error(ErrorCode::kDataLoss,
              "the sequence flow's factor c is not finite; the state's entries are in [" +
                  std::to_string(simplex.min().item<double>()) + ", " +
                  std::to_string(simplex.max().item<double>()) +
                  "]. allow_nan_cfactor takes 0 for it (without reference_compat it comes only from a state "
                  "that is not finite)");
}

at::Tensor factor_of(const DirichletFlow& flow, const at::Tensor& simplex, const at::Tensor& alpha) {
  if (!flow.tabulated) {
    return conditional_factor(simplex, per_sample(alpha.clamp_max(flow.alpha_max), simplex.dim()));
  }
  return tabulated_factor(simplex, at::where(alpha > flow.alpha_max, flow.alpha_max - kTableSpacing, alpha));
}

}  // namespace

DirichletFlow dirichlet_flow(const v1::JobSpec& resolved) {
  const v1::TransportSpec& spec = resolved.transport();
  return {.alpha_max = spec.alpha_max(),
          .temperature = spec.dirichlet_flow_temp(),
          .allow_nan_cfactor = spec.allow_nan_cfactor(),
          .tabulated = resolved.reference_compat()};
}

at::Tensor concentration(const DirichletFlow& flow, const at::Tensor& t) {
  return (1 - t) + t * flow.alpha_max;
}

at::Tensor conditional_factor(const at::Tensor& b, const at::Tensor& alpha) {
  const at::Tensor a = alpha.to(at::kDouble);
  const at::Tensor x = b.to(at::kDouble).clamp(0, 1);
  const at::Tensor q = 1 - x;
  const at::Tensor x_log_x = at::xlogy(x, x);
  const auto [below, below_slope] = power_series(q, a, 0, kOthers);
  const auto [above, above_slope] = power_series(q, a, kOthers, kOthers + kTailTerms);
  return complete_beta(a) * at::where(is_above(x, a), x * above_slope + x_log_x * above,
                                      -(x * below_slope + x_log_x * below) / q.pow(kOthers));
}

at::Tensor tabulated_factor(const at::Tensor& b, const at::Tensor& alpha) {
  const at::Tensor a = per_sample(alpha.to(at::kDouble), b.dim());
  const at::Tensor table = interpolate(table_rows(alpha.to(at::kDouble)), b.flatten(1).to(at::kDouble));
  const at::Tensor others = (1 - b).pow(kOthers);
  const at::Tensor own = at::pow(b.to(at::kDouble), a - 1).to(b.scalar_type());
  const at::Tensor outer = at::where(b < 1, complete_beta(a) / others, 0.0);
  return -table.view_as(b) * at::where(own > 0, outer / own, 0.0);
}

at::Tensor sequence_velocity(const at::Tensor& simplex, const at::Tensor& logits, const at::Tensor& t,
                             const DirichletFlow& flow) {
  const at::Tensor alpha = concentration(flow, t).to(at::kDouble);
  at::Tensor factor = factor_of(flow, simplex, alpha);
  if (flow.allow_nan_cfactor) {
    factor = at::where(at::isfinite(factor), factor, 0.0);
  } else {
    require_finite(factor, simplex);
  }
  const at::Tensor x = simplex.to(at::kDouble);
  const at::Tensor pull = at::softmax(logits.to(at::kDouble) / flow.temperature, -1) * factor;
  const at::Tensor velocity = pull - x * pull.sum(-1, /*keepdim=*/true);
  return ((flow.alpha_max - 1) * velocity).to(simplex.scalar_type());
}

}  // namespace mdgen::transport
