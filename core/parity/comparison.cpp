#include "core/parity/comparison.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace mdgen::parity {

double relative_difference(const at::Tensor& ours, const at::Tensor& golden) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!ours.defined() || ours.sizes() != golden.sizes()) return kInfinity;
  if (golden.numel() == 0) return 0;
  const at::Tensor expected = golden.to(at::kDouble);
  const double difference = (ours.detach().to(at::kDouble) - expected).abs().max().item<double>();
  const double scale = expected.abs().max().item<double>();
  if (!std::isfinite(difference) || !std::isfinite(scale)) return kInfinity;
  if (difference == 0) return 0;
  return scale == 0 ? kInfinity : difference / scale;
}

void Family::compare(const std::string& tensor, const at::Tensor& ours, const at::Tensor& golden,
                     double tolerance) {
  const double difference = relative_difference(ours, golden);
  worst_ = std::max(worst_.value_or(0), difference);
  if (difference > tolerance) {
    problem(tensor + " differs by " + short_number(difference) + ", allowed " + short_number(tolerance));
  }
}

void Family::compare_all(const std::map<std::string, at::Tensor>& ours,
                         const std::map<std::string, at::Tensor>& golden, double tolerance) {
  for (const auto& [name, expected] : golden) {
    const auto found = ours.find(name);
    if (found == ours.end()) {
      problem(name + " is not computed");
    } else {
      compare(name, found->second, expected, tolerance);
    }
  }
}

void Family::problem(const std::string& text) { problems_.push_back(name_ + ": " + text); }

std::string Family::text() const { return name_ + "=" + (worst_ ? short_number(*worst_) : "-"); }

std::string short_number(double value) {
  if (value == 0) return "0";
  if (!std::isfinite(value)) return "inf";
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.0e", value);
  const std::string text = buffer.data();
  const std::size_t exponent = text.find('e') + 2;
  const std::size_t digits = text.find_first_not_of('0', exponent);
  const std::string sign = text[exponent - 1] == '-' ? "-" : "+";
  return text.substr(0, exponent - 1) + sign + (digits == std::string::npos ? "0" : text.substr(digits));
}

}  // namespace mdgen::parity
