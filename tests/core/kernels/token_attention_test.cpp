#include "core/kernels/token_attention.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "core/kernels/cpu/dispatch.h"

namespace mdgen::kernels {
namespace {

using cpu::InstructionSet;
using cpu::UseInstructionSet;

struct Case {
  std::int64_t n1, n2, positions, heads, dim;
  enum { kNoMask, kMask, kOneMask, kAttendsPadding } mask;
  bool rotates = true, transposed = false;
  std::int64_t token_position = 0;  // 0: at the end
};

at::Tensor random(const Case& test) {
  if (!test.transposed) return at::randn({test.n1, test.n2, test.positions, test.heads * test.dim});
  return at::randn({test.n1, test.positions, test.n2, test.heads * test.dim}).transpose(1, 2);
}

at::Tensor bias_of(const Case& test) {
  at::Tensor bias =
      at::zeros({test.mask == Case::kOneMask ? 1 : test.n1 * test.n2, 1, 1, test.positions + 1});
  if (test.mask == Case::kNoMask) return bias;
  at::Tensor hidden = at::rand(bias.sizes()) < 0.4;
  hidden.select(-1, test.positions).fill_(false);
  return bias.masked_fill_(
      hidden, test.mask == Case::kAttendsPadding ? 1.0F : -std::numeric_limits<float>::infinity());
}

struct Tensors {
  TokenAttention in;
  at::Tensor out_grad;
};

Tensors tensors_of(const Case& test) {
  at::manual_seed(3);
  Tensors t;
  t.in = {random(test) * 2, random(test) * 2, random(test), {}, {}, bias_of(test), {}, test.heads, 0};
  t.in.token_k = at::randn({1, 1, test.heads * test.dim});
  t.in.token_v = at::randn({1, 1, test.heads * test.dim});
  if (test.rotates) t.in.inv_freq = at::pow(1e4, at::arange(0, test.dim, 2, at::kFloat) / -test.dim);
  t.in.token_position = test.token_position > 0 ? test.token_position : test.positions;
  t.out_grad = random(test);
  return t;
}

Tensors as_type(Tensors t, at::ScalarType type) {
  for (at::Tensor* x : {&t.in.q, &t.in.k, &t.in.v, &t.out_grad}) *x = x->to(type);
  return t;
}

Tensors in_double(const Tensors& given) {
  Tensors t = as_type(given, at::kDouble);
  for (at::Tensor* x : {&t.in.token_k, &t.in.token_v, &t.in.bias, &t.in.inv_freq}) {
    if (x->defined()) *x = x->to(at::kDouble);
  }
  return t;
}

// The result and the gradients of q, k, v and the token's key and value.
std::vector<at::Tensor> results(Tensors t, bool reference) {
  std::vector<at::Tensor> leaves;
  for (at::Tensor* x : {&t.in.q, &t.in.k, &t.in.v, &t.in.token_k, &t.in.token_v}) {
    *x = x->detach().requires_grad_();
    leaves.push_back(*x);
  }
  const at::Tensor out = reference ? token_attention_reference(t.in) : token_attention(t.in);
  const bool own = out.grad_fn()->name().find("Attention") != std::string::npos;
  EXPECT_EQ(own, !reference) << out.grad_fn()->name();
  auto all = torch::autograd::grad({out}, leaves, {t.out_grad});
  all.insert(all.begin(), out.detach());
  return all;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

const char* const kNames[] = {"result", "q grad", "k grad", "v grad", "token's k grad", "token's v grad"};

constexpr double kBf16 = 1.0 / 256;  // the rounding of a single number

// Sums over thousands of positions in float32 lose another digit.
double within(const Case& test) { return test.positions > 1000 ? 1e-5 : 3e-6; }

class TokenAttentionTest : public testing::TestWithParam<Case> {};

TEST_P(TokenAttentionTest, EveryInstructionSetIsTheCompositionInDouble) {
  const Tensors t = tensors_of(GetParam());
  const auto exact = results(in_double(t), true);
  for (const InstructionSet set : cpu::supported_sets()) {
    const UseInstructionSet use(set);
    const auto found = results(t, false);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(found[i].sizes(), exact[i].sizes());
      EXPECT_LT(relative(found[i], exact[i]), within(GetParam())) << kNames[i] << " with " << cpu::name(set);
    }
  }
}

TEST_P(TokenAttentionTest, Bfloat16InAndOutIsFloat32Within) {
  const Tensors t = as_type(tensors_of(GetParam()), at::kBFloat16);
  const auto exact = results(in_double(t), true);
  for (const InstructionSet set : cpu::supported_sets()) {
    const UseInstructionSet use(set);
    const auto found = results(t, false);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const bool token = i >= 4;
      EXPECT_EQ(found[i].scalar_type(), token ? at::kFloat : at::kBFloat16);
      EXPECT_LT(relative(found[i], exact[i]), token ? within(GetParam()) : kBf16)
          << kNames[i] << " with " << cpu::name(set);
    }
  }
}

TEST_P(TokenAttentionTest, TheNumberOfThreadsDoesNotMatter) {
  const Tensors t = tensors_of(GetParam());
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = results(t, false);
  at::set_num_threads(3);
  const auto three = results(t, false);
  at::set_num_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << kNames[i];
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, TokenAttentionTest,
    testing::Values(Case{1, 3, 128, 2, 24, Case::kMask}, Case{2, 3, 4, 16, 24, Case::kMask},
                    Case{2, 5, 50, 4, 24, Case::kOneMask, true, true}, Case{1, 1, 1, 1, 8, Case::kNoMask},
                    Case{1, 2, 100, 1, 24, Case::kNoMask, false}, Case{1, 2, 17, 3, 6, Case::kAttendsPadding},
                    Case{1, 1, 33, 2, 32, Case::kMask, true, false, 50},
                    Case{3, 100, 4, 2, 24, Case::kMask, true, true}, Case{1, 1, 2100, 1, 8, Case::kMask},
                    // Sixteen heads in lanes.
                    Case{1, 5, 50, 32, 24, Case::kMask, true, true}, Case{1, 1, 1, 16, 16, Case::kNoMask},
                    Case{2, 3, 63, 16, 18, Case::kAttendsPadding, true, false, 70},
                    Case{1, 2, 9, 16, 40, Case::kNoMask, false},
                    Case{3, 100, 4, 16, 24, Case::kMask, true, true}));

TEST(TokenAttentionValuesTest, ANaNReachesEveryQueryThatSeesIt) {
  Tensors t = tensors_of({1, 2, 20, 2, 8, Case::kNoMask});
  t.in.k.index_put_({0, 1, 7, 3}, std::numeric_limits<float>::quiet_NaN());
  const at::Tensor out = token_attention(t.in);
  EXPECT_EQ(out.isnan().sum().item<int>(), 20 * 8);
  EXPECT_TRUE(out[0][1].narrow(-1, 0, 8).isnan().all().item<bool>());
}

TEST(TokenAttentionValuesTest, ScoresFarApartAndHiddenKeys) {
  Tensors t = tensors_of({1, 1, 40, 1, 8, Case::kMask});
  t.in.q = t.in.q * 60;
  const auto exact = results(in_double(t), true);
  const auto found = results(t, false);
  EXPECT_LT(relative(found[0], exact[0]), 2e-4);  // scores of a thousand, in float32
  EXPECT_TRUE(found[1].isfinite().all().item<bool>());
  Tensors hidden = tensors_of({1, 1, 40, 1, 8, Case::kNoMask});
  hidden.in.bias.narrow(-1, 0, 40).fill_(-std::numeric_limits<float>::infinity());
  EXPECT_TRUE(at::allclose(token_attention(hidden.in), hidden.in.token_v.expand({1, 1, 40, 8})));
}

TEST(TokenAttentionFallbackTest, WhatTheKernelDoesNotTakeIsTheComposition) {
  const Tensors t = tensors_of({1, 2, 5, 2, 8, Case::kMask});
  const Tensors exact = in_double(t);
  EXPECT_TRUE(at::equal(token_attention(exact.in), token_attention_reference(exact.in)));
  Tensors mixed = t;
  mixed.in.v = mixed.in.v.to(at::kDouble);
  EXPECT_EQ(token_attention(mixed.in).scalar_type(), at::kDouble);
}

// The table of docs/performance.md; by hand alone, since it judges nothing.
double milliseconds(const Tensors& t, bool reference) {
  const auto start = std::chrono::steady_clock::now();
  results(t, reference);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

TEST(TokenAttentionTiming, DISABLED_BesideTheComposition) {
  const Case cases[] = {{1, 100, 128, 16, 24, Case::kMask}, {1, 128, 100, 16, 24, Case::kMask},
                        {8, 50, 4, 16, 24, Case::kMask},    {8, 1000, 4, 16, 24, Case::kMask},
                        {8, 4, 50, 16, 24, Case::kMask},    {8, 4, 1000, 16, 24, Case::kMask}};
  for (const Case& test : cases) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const Tensors t = as_type(tensors_of(test), type);
      double composition = 1e9, kernel = 1e9;
      for (int i = 0; i < 6; ++i) {
        composition = std::min(composition, milliseconds(t, true));
        kernel = std::min(kernel, milliseconds(t, false));
      }
      std::printf("%ld x %ld, S %ld %s: composition %.2f ms, kernel %.2f ms, ratio %.2f\n", test.n1, test.n2,
                  test.positions, c10::toString(type), composition, kernel, composition / kernel);
    }
  }
}

}  // namespace
}  // namespace mdgen::kernels
