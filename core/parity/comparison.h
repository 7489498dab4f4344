// How far computed tensors are from golden ones, family by family.
#pragma once

#include <torch/torch.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mdgen::parity {

inline constexpr double kValueTolerance = 2e-5;     // prep, out, loss
inline constexpr double kGradientTolerance = 1e-4;  // gradients; training losses and gradient norms
inline constexpr double kWeightTolerance = 1e-3;    // weights after training
inline constexpr double kExact = 0;

// max |ours - golden| / max |golden|. Infinity when shapes differ or a value is not finite; 0 / 0 is 0.
double relative_difference(const at::Tensor& ours, const at::Tensor& golden);

// One family of tensors: "prep", "out", "loss", "grad", "train".
class Family {
 public:
  explicit Family(std::string name) : name_(std::move(name)) {}

  void compare(const std::string& tensor, const at::Tensor& ours, const at::Tensor& golden, double tolerance);
  // Every golden tensor must be among `ours`.
  void compare_all(const std::map<std::string, at::Tensor>& ours,
                   const std::map<std::string, at::Tensor>& golden, double tolerance);
  void problem(const std::string& text);

  bool passed() const { return problems_.empty(); }
  const std::vector<std::string>& problems() const { return problems_; }
  // "grad=4e-6"; "grad=-" when nothing was compared.
  std::string text() const;

 private:
  std::string name_;
  std::optional<double> worst_;
  std::vector<std::string> problems_;
};

// "3e-7": one digit, no zeros in the exponent; "0", "inf".
std::string short_number(double value);

}  // namespace mdgen::parity
