#include "core/kernels/modulated_norm.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <tuple>
#include <vector>

#include "core/kernels/cpu/dispatch.h"

namespace mdgen::kernels {
namespace {

using cpu::InstructionSet;
using cpu::UseInstructionSet;

struct Case {
  std::vector<std::int64_t> sizes;
  bool transposed;  // f and the gradient of n lie transposed in memory
};

at::Tensor random(const std::vector<std::int64_t>& sizes, bool transposed) {
  const at::Tensor all = at::randn(sizes, at::kFloat);
  return transposed ? all.transpose(1, 2).contiguous().transpose(1, 2) : all;
}

// x, gate, f, shift, scale and the gradients of y and n.
std::vector<at::Tensor> tensors_of(const Case& test) {
  at::manual_seed(7);
  std::vector<std::int64_t> modulation(test.sizes.size(), 1);
  modulation.front() = test.sizes.front();
  modulation.back() = test.sizes.back();
  const auto part = [&] { return at::randn(modulation) * 0.5; };
  return {random(test.sizes, false) * 2 + 1,
          part(),
          random(test.sizes, test.transposed),
          part(),
          part(),
          random(test.sizes, false),
          random(test.sizes, test.transposed)};
}

// y, n and the gradients of the five inputs.
std::vector<at::Tensor> results(const std::vector<at::Tensor>& tensors, bool reference, bool transposed) {
  std::vector<at::Tensor> in;
  for (std::size_t i = 0; i < 5; ++i) in.push_back(tensors[i].detach().requires_grad_());
  at::Tensor y, n;
  if (reference) {
    y = gated_residual_reference(in[0], in[1], in[2]);
    n = modulated_norm_reference(y, in[3], in[4]);
  } else {
    std::tie(y, n) = gated_modulated_norm(in[0], in[1], in[2], in[3], in[4], {.transposed = transposed});
    EXPECT_TRUE(!transposed || n.transpose(1, 2).is_contiguous());
  }
  auto all = torch::autograd::grad({y, n}, in, {tensors[5], tensors[6]});
  all.insert(all.begin(), {y.detach(), n.detach()});
  return all;
}

std::vector<at::Tensor> in_double(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& tensor : tensors) all.push_back(tensor.to(at::kDouble));
  return all;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

const char* const kNames[] = {"y", "n", "x grad", "gate grad", "f grad", "shift grad", "scale grad"};

class ModulatedNormTest : public testing::TestWithParam<Case> {};

TEST_P(ModulatedNormTest, EveryInstructionSetIsTheCompositionInDouble) {
  const Case test = GetParam();
  const auto tensors = tensors_of(test);
  const auto exact = results(in_double(tensors), true, false);
  for (const InstructionSet set : cpu::supported_sets()) {
    const UseInstructionSet use(set);
    const auto found = results(tensors, false, test.transposed);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_LT(relative(found[i], exact[i]), 2e-6) << kNames[i] << " with " << cpu::name(set);
    }
  }
}

TEST_P(ModulatedNormTest, TheNumberOfThreadsDoesNotMatter) {
  const Case test = GetParam();
  const auto tensors = tensors_of(test);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = results(tensors, false, test.transposed);
  at::set_num_threads(3);
  const auto three = results(tensors, false, test.transposed);
  at::set_num_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << kNames[i];
}

TEST_P(ModulatedNormTest, ThePartsAreTheWhole) {
  const Case test = GetParam();
  const auto tensors = tensors_of(test);
  const auto whole = results(tensors, false, false);
  std::vector<at::Tensor> in;
  for (std::size_t i = 0; i < 5; ++i) in.push_back(tensors[i].detach().requires_grad_());
  const at::Tensor y = gated_residual(in[0], in[1], in[2]);
  const at::Tensor n = modulated_norm(y, in[3], in[4]);
  EXPECT_STREQ(y.grad_fn()->name().find("GatedResidual") == std::string::npos ? "composition" : "kernel",
               "kernel");
  auto parts = torch::autograd::grad({y, n}, in, {tensors[5], tensors[6]});
  parts.insert(parts.begin(), {y.detach(), n.detach()});
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_LT(relative(parts[i], whole[i].to(at::kDouble)), 1e-6) << kNames[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModulatedNormTest,
                         testing::Values(Case{{2, 7, 19, 48}, false}, Case{{2, 7, 19, 48}, true},
                                         Case{{1, 20, 13, 384}, true}, Case{{3, 5, 16}, false},
                                         Case{{1, 1, 1, 32}, false}));

class Bf16Autocast {
 public:
  Bf16Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  }
  ~Bf16Autocast() { at::autocast::set_autocast_enabled(at::kCPU, false); }
};

TEST(ModulatedNormBf16Test, TheResultIsThatOfACastAfterwards) {
  const auto t = tensors_of({{2, 7, 19, 48}, true});
  const at::Tensor f = t[2].to(at::kBFloat16);
  for (const InstructionSet set : cpu::supported_sets()) {
    const UseInstructionSet use(set);
    const auto [y, n] = gated_modulated_norm(t[0], t[1], f, t[3], t[4], {.for_linear = true});
    EXPECT_EQ(n.scalar_type(), at::kFloat) << "without autocast";
    const Bf16Autocast autocast;
    const auto [y2, half] = gated_modulated_norm(t[0], t[1], f, t[3], t[4], {.for_linear = true});
    EXPECT_EQ(half.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::equal(half, n.to(at::kBFloat16))) << cpu::name(set);
    EXPECT_TRUE(at::equal(y, y2));
    EXPECT_EQ(gated_modulated_norm(t[0], t[1], f, t[3], t[4]).second.scalar_type(), at::kFloat);
  }
}

TEST(ModulatedNormBf16Test, GradientsAreThoseOfTheComposition) {
  auto t = tensors_of({{2, 7, 19, 48}, true});
  t[2] = t[2].to(at::kBFloat16);
  const auto exact = results(in_double(t), true, false);
  const auto found = results(t, false, false);
  EXPECT_EQ(found[4].scalar_type(), at::kBFloat16);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_LT(relative(found[i], exact[i]), i == 4 ? 3e-3 : 2e-6) << kNames[i];
  }
}

TEST(ModulatedNormBf16Test, ANaNStaysOne) {
  auto t = tensors_of({{1, 2, 3, 16}, false});
  t[0].index_put_({0, 1, 1, 3}, std::numeric_limits<float>::quiet_NaN());
  const Bf16Autocast autocast;
  const at::Tensor n = modulated_norm(t[0], t[3], t[4], {.for_linear = true});
  EXPECT_EQ(n.isnan().sum().item<int>(), 16);
  EXPECT_TRUE(n[0][1][1].isnan().all().item<bool>());
}

TEST(ModulatedNormFallbackTest, OtherTypesAndWidthsTakeTheComposition) {
  const auto t = tensors_of({{2, 3, 5, 24}, false});
  const at::Tensor n = modulated_norm(t[0], t[3], t[4]);
  EXPECT_TRUE(at::equal(n, modulated_norm_reference(t[0], t[3], t[4])));
  const auto d = in_double(tensors_of({{2, 3, 5, 32}, false}));
  const auto [y, m] = gated_modulated_norm(d[0], d[1], d[2], d[3], d[4]);
  EXPECT_TRUE(at::equal(y, gated_residual_reference(d[0], d[1], d[2])));
  EXPECT_TRUE(at::equal(m, modulated_norm_reference(y, d[3], d[4])));
}

TEST(ModulatedNormFallbackTest, AnOutputThatNobodyUsesHasNoGradient) {
  const auto t = tensors_of({{2, 3, 5, 32}, false});
  std::vector<at::Tensor> in;
  for (std::size_t i = 0; i < 5; ++i) in.push_back(t[i].detach().requires_grad_());
  const auto of_y = gated_modulated_norm(in[0], in[1], in[2], in[3], in[4]).first;
  const auto grads = torch::autograd::grad({of_y}, {in[0], in[1], in[2]}, {t[5]});
  EXPECT_TRUE(at::equal(grads[0], t[5]));
  EXPECT_TRUE(at::equal(grads[2], t[5] * t[1]));
}

// The table of docs/performance.md; by hand alone, since it judges nothing.
double milliseconds(const std::vector<at::Tensor>& in, const at::Tensor& grad, bool reference) {
  const auto start = std::chrono::steady_clock::now();
  at::Tensor y, n;
  if (reference) {
    y = gated_residual_reference(in[0], in[1], in[2]);
    n = modulated_norm_reference(y, in[3], in[4]);
  } else {
    std::tie(y, n) = gated_modulated_norm(in[0], in[1], in[2], in[3], in[4]);
  }
  torch::autograd::grad({y, n}, in, {grad, grad});
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

TEST(ModulatedNormTiming, DISABLED_BesideTheComposition) {
  for (const auto& [sizes, rounds] : {std::pair{std::vector<std::int64_t>{1, 100, 128, 384}, 8},
                                      std::pair{std::vector<std::int64_t>{8, 50, 4, 384}, 30}}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const auto t = tensors_of({sizes, false});
      std::vector<at::Tensor> in = {t[0].requires_grad_()};
      for (std::size_t i = 1; i < 5; ++i) in.push_back(t[i].to(type).detach().requires_grad_());
      double composition = 1e9, kernel = 1e9;
      for (int i = 0; i < rounds; ++i) {
        composition = std::min(composition, milliseconds(in, t[5], true));
        kernel = std::min(kernel, milliseconds(in, t[5], false));
      }
      std::printf("T%ld L%ld %s: composition %.2f ms, kernel %.2f ms, ratio %.2f\n", sizes[1], sizes[2],
                  c10::toString(type), composition, kernel, composition / kernel);
    }
  }
}

}  // namespace
}  // namespace mdgen::kernels
