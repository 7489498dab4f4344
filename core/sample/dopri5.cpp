#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/sample/dormand_prince.h"
#include "core/sample/ode.h"
#include "core/sample/ode_checks.h"
#include "core/sample/step_control.h"

namespace mdgen::sample {
namespace {

at::Tensor weighted_sum(const std::vector<at::Tensor>& slopes, std::span<const double> weights) {
  at::Tensor sum = slopes[0] * weights[0];
  for (std::size_t i = 1; i < slopes.size(); ++i) {
    if (weights[i] != 0) sum.add_(slopes[i], weights[i]);
  }
  return sum;
}

// Where one sample is.
struct Course {
  std::int64_t sample = 0;
  double t = 0;
  double step = 0;
  bool to_end = false;  // the step is to end at t1 exactly
};

// One step of all samples that are under way, not yet judged.
struct Attempt {
  std::vector<at::Tensor> slopes;  // seven
  at::Tensor x;                    // (n, …) at the step's end
  at::Tensor length;               // (n, 1, …)
  std::vector<double> error;       // (n) in units of the tolerance
};

class Dopri5 {
 public:
  Dopri5(const Drift& drift, const at::Tensor& x0, double t0, double t1, const Dopri5Options& options);
  OdeResult run();

 private:
  void begin();
  Attempt attempt();
  std::vector<char> judge(const Attempt& step);
  void deliver(const Attempt& step, const std::vector<Course>& before, const std::vector<char>& accepted);
  void drop_arrived();

  at::Tensor evaluate(const at::Tensor& t, const at::Tensor& x);
  // Root mean squares by sample, in units of the tolerance; one for all under kBatch.
  std::vector<double> norms(const at::Tensor& values, const at::Tensor& tolerance) const;
  at::Tensor column(const std::vector<double>& by_row) const;  // (n, 1, …)
  at::Tensor by_row(const std::vector<double>& values) const { return at::tensor(values, x_.options()); }
  bool arrived(const Course& course) const { return course.t >= t1_; }
  double end_of(const Course& course) const { return course.to_end ? t1_ : course.t + course.step; }
  double rounded(double value) const { return single_ ? static_cast<float>(value) : value; }
  double below(double value) const;
  double time_of_stage(const Course& course, std::size_t stage) const;
  void check_can_go_on(const Course& course) const;
  [[noreturn]] void refuse(const Attempt& step) const;
  std::int64_t tries(const Course& course) const;

  const Drift& drift_;
  const Dopri5Options& options_;
  bool single_;
  double t0_, t1_;
  std::vector<Course> courses_;  // of the samples under way
  at::Tensor rows_;              // (n) their places in the batch
  at::Tensor x_, slope_;         // (n, …)
  at::Tensor counted_;           // (n, …) bool, or undefined
  OdeResult out_;
};

Dopri5::Dopri5(const Drift& drift, const at::Tensor& x0, double t0, double t1, const Dopri5Options& options)
    : drift_(drift), options_(options), single_(x0.scalar_type() == at::kFloat), x_(x0) {
  check_problem(x0, t0, t1);
  if (!(options.rtol >= 0 && options.atol >= 0 && options.rtol + options.atol > 0)) {
    throw Error(ErrorCode::kInvalidArgument, "dopri5: rtol " + std::to_string(options.rtol) + " and atol " +
                                                 std::to_string(options.atol) +
                                                 " must not be negative, nor both zero");
  }
  t0_ = rounded(t0);
  t1_ = rounded(t1);
  const std::int64_t samples = x0.size(0);
  rows_ = at::arange(samples, x0.options().dtype(at::kLong));
  if (options.counted.defined()) {
    counted_ = (options.counted != 0).expand_as(x0);
  }
  out_.x = at::empty_like(x0);
  out_.accepted.assign(static_cast<std::size_t>(samples), 0);
  out_.rejected.assign(static_cast<std::size_t>(samples), 0);
  for (std::int64_t i = 0; i < samples; ++i) courses_.push_back({.sample = i, .t = t0_});
}

OdeResult Dopri5::run() {
  if (courses_.empty()) return std::move(out_);
  begin();
  while (!courses_.empty()) {
    const Attempt step = attempt();
    const std::vector<Course> before = courses_;
    const std::vector<char> accepted = judge(step);
    deliver(step, before, accepted);
    drop_arrived();
  }
  return std::move(out_);
}

void Dopri5::begin() {
  slope_ = evaluate(at::full({x_.size(0)}, t0_, x_.options()), x_);
  if (const auto bad = first_row_not_finite(slope_)) throw drift_not_finite(*bad, t0_);
  const at::Tensor tolerance = x_.abs().to(at::kDouble) * options_.rtol + options_.atol;
  const std::vector<double> state = norms(x_, tolerance);
  const std::vector<double> drift = norms(slope_, tolerance);
  std::vector<double> probes, times;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    probes.push_back(probe_step(state[i], drift[i]));
    times.push_back(t0_ + probes[i]);
  }
  const at::Tensor there = evaluate(by_row(times), x_ + slope_ * column(probes));
  if (const auto bad = first_row_not_finite(there)) {
    throw drift_not_finite(*bad, times[static_cast<std::size_t>(*bad)]);
  }
  const std::vector<double> change = norms(there - slope_, tolerance);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    courses_[i].step = first_step(probes[i], drift[i], change[i] / probes[i]);
  }
}

Attempt Dopri5::attempt() {
  std::vector<double> lengths, times;
  for (const Course& course : courses_) {
    check_can_go_on(course);
    lengths.push_back(course.step);
  }
  for (std::size_t stage = 1; stage < kStages; ++stage) {
    for (const Course& course : courses_) times.push_back(time_of_stage(course, stage));
  }
  const at::Tensor stage_times = by_row(times).view({kStages - 1, -1});
  Attempt step;
  step.length = column(lengths);
  step.slopes.push_back(slope_);
  for (std::size_t stage = 1; stage < kStages; ++stage) {
    step.x = at::addcmul(x_, weighted_sum(step.slopes, kWeights[stage - 1]), step.length);
    step.slopes.push_back(evaluate(stage_times[static_cast<std::int64_t>(stage) - 1], step.x));
  }
  const at::Tensor error = weighted_sum(step.slopes, kErrorWeights) * step.length;
  const at::Tensor largest = at::maximum(x_.abs(), step.x.abs()).to(at::kDouble);
  step.error = norms(error, largest * options_.rtol + options_.atol);
  return step;
}

std::vector<char> Dopri5::judge(const Attempt& step) {
  std::vector<char> accepted(courses_.size(), 0);
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    Course& course = courses_[i];
    const auto sample = static_cast<std::size_t>(course.sample);
    const double error = step.error[i];
    if (!std::isfinite(error)) {
      if (course.to_end || end_of(course) <= t1_) refuse(step);
      course.step = t1_ - course.t;
      course.to_end = true;
      ++out_.rejected[sample];
      continue;
    }
    accepted[i] = error <= 1;
    ++(accepted[i] ? out_.accepted : out_.rejected)[sample];
    if (accepted[i]) course.t = end_of(course);
    course.step = next_step(course.step, error);
    course.to_end = false;
  }
  return accepted;
}

void Dopri5::deliver(const Attempt& step, const std::vector<Course>& before,
                     const std::vector<char>& accepted) {
  std::vector<std::int64_t> places;
  std::vector<double> fractions;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    if (!arrived(courses_[i])) continue;
    places.push_back(static_cast<std::int64_t>(i));
    fractions.push_back((t1_ - before[i].t) / (courses_[i].t - before[i].t));
  }
  if (!places.empty()) {
    const at::Tensor which = at::tensor(places, rows_.options());
    const auto of = [&](const at::Tensor& all) { return all.index_select(0, which); };
    const at::Tensor length = of(step.length);
    const at::Tensor start = of(x_), end = of(step.x);
    const at::Tensor from = of(step.slopes.front()) * length, to = of(step.slopes.back()) * length;
    const at::Tensor middle = start + of(weighted_sum(step.slopes, kMiddleWeights)) * length;
    const at::Tensor s = column(fractions);
    const at::Tensor quartic = 2 * (to - from) - 8 * (end + start) + 16 * middle;
    const at::Tensor cubic = 5 * from - 3 * to + 18 * start + 14 * end - 32 * middle;
    const at::Tensor square = to - 4 * from - 11 * start - 5 * end + 16 * middle;
    out_.x.index_copy_(0, of(rows_), start + s * (from + s * (square + s * (cubic + s * quartic))));
  }
  const std::vector<double> marks(accepted.begin(), accepted.end());
  const at::Tensor moved = column(marks) != 0;
  x_ = at::where(moved, step.x, x_);
  slope_ = at::where(moved, step.slopes.back(), slope_);
}

void Dopri5::drop_arrived() {
  std::vector<std::int64_t> places;
  std::vector<Course> left;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    if (arrived(courses_[i])) continue;
    places.push_back(static_cast<std::int64_t>(i));
    left.push_back(courses_[i]);
  }
  if (left.size() == courses_.size()) return;
  courses_ = std::move(left);
  const at::Tensor which = at::tensor(places, rows_.options());
  rows_ = rows_.index_select(0, which);
  x_ = x_.index_select(0, which);
  slope_ = slope_.index_select(0, which);
  if (counted_.defined()) counted_ = counted_.index_select(0, which);
}

at::Tensor Dopri5::evaluate(const at::Tensor& t, const at::Tensor& x) {
  ++out_.evaluations;
  at::Tensor slope = drift_(t, x, rows_);
  check_drift_shape(slope, x);
  return slope;
}

std::vector<double> Dopri5::norms(const at::Tensor& values, const at::Tensor& tolerance) const {
  const std::int64_t samples = values.size(0);
  const bool batch = options_.norm == ErrorNorm::kBatch;
  const at::Tensor squares = (values / tolerance).square().reshape({samples, -1});
  at::Tensor means;
  if (counted_.defined()) {
    const at::Tensor counted = counted_.reshape({samples, -1});
    const at::Tensor sums = at::where(counted, squares, 0.0).sum(1);
    means = batch ? sums.sum() / counted.sum().clamp_min(1) : sums / counted.sum(1).clamp_min(1);
  } else {
    means = batch ? squares.mean(1).mean() : squares.mean(1);
  }
  means = means.expand({samples});
  const at::Tensor host = means.sqrt().cpu().contiguous();
  const auto* first = host.const_data_ptr<double>();
  return {first, first + samples};
}

at::Tensor Dopri5::column(const std::vector<double>& values) const {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x_.dim()), 1);
  sizes[0] = static_cast<std::int64_t>(values.size());
  return by_row(values).view(sizes);
}

double Dopri5::below(double value) const {
  if (!single_) return std::nextafter(value, -std::numeric_limits<double>::infinity());
  return std::nextafter(static_cast<float>(value), -std::numeric_limits<float>::infinity());
}

double Dopri5::time_of_stage(const Course& course, std::size_t stage) const {
  if (stage == 0) return rounded(course.t);
  const double node = kNodes[stage - 1];
  if (node == 1) return below(rounded(end_of(course)));
  return rounded(rounded(course.t) + rounded(rounded(node) * rounded(course.step)));
}

std::int64_t Dopri5::tries(const Course& course) const {
  const auto sample = static_cast<std::size_t>(course.sample);
  return out_.accepted[sample] + out_.rejected[sample];
}

void Dopri5::check_can_go_on(const Course& course) const {
  const std::string where =
      "dopri5: sample " + std::to_string(course.sample) + " of the batch, at t = " + std::to_string(course.t);
  if (tries(course) >= options_.max_steps) {
    throw Error(ErrorCode::kUnavailable, where + ": all " + std::to_string(options_.max_steps) +
                                             " steps are used up; looser tolerances need fewer");
  }
  if (!(course.t + course.step > course.t)) {
    throw Error(ErrorCode::kUnavailable, where + ": the step size has fallen to " +
                                             std::to_string(course.step) +
                                             "; the drift is not smooth enough for these tolerances");
  }
}

void Dopri5::refuse(const Attempt& step) const {
  for (std::size_t stage = 0; stage < kStages; ++stage) {
    if (const auto bad = first_row_not_finite(step.slopes[stage])) {
      const Course& course = courses_[static_cast<std::size_t>(*bad)];
      throw drift_not_finite(course.sample, time_of_stage(course, stage));
    }
  }
  const auto bad = static_cast<std::size_t>(first_row_not_finite(step.x).value_or(0));
  throw Error(ErrorCode::kDataLoss,
              "dopri5: sample " + std::to_string(courses_[bad].sample) +
                  " of the batch grows beyond all numbers after t = " + std::to_string(courses_[bad].t));
}

}  // namespace

OdeResult dopri5(const Drift& drift, const at::Tensor& x0, double t0, double t1,
                 const Dopri5Options& options) {
  const torch::NoGradGuard no_grad;
  return Dopri5(drift, x0, t0, t1, options).run();
}

}  // namespace mdgen::sample
