#include "core/data/normal_kernel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

// Compiled once for each set of instructions. This file's flags let the compiler make vectors of these loops
// (no errno, no traps) and forbid it to fuse multiplications with additions (CMakeLists.txt).
#define MDGEN_INLINE [[gnu::always_inline]] inline

namespace mdgen::data {
namespace {

constexpr std::size_t kTile = 128;

template <typename T>
using Lanes = std::array<T, kTile>;

struct Words {
  alignas(64) Lanes<std::uint32_t> w[4];
};

// philox4x32 of base/philox.h, by lanes.
MDGEN_INLINE void encrypt(PhiloxKey key, Words& words) {
  auto& [w0, w1, w2, w3] = words.w;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kTile; ++i) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53} * w0[i];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * w2[i];
      const std::uint32_t next0 = static_cast<std::uint32_t>(product1 >> 32) ^ w1[i] ^ key[0];
      const std::uint32_t next2 = static_cast<std::uint32_t>(product0 >> 32) ^ w3[i] ^ key[1];
      w1[i] = static_cast<std::uint32_t>(product1);
      w3[i] = static_cast<std::uint32_t>(product0);
      w0[i] = next0;
      w2[i] = next2;
    }
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
}

constexpr std::uint64_t kExponentOf2To52 = 0x4330000000000000;
constexpr double k2To52 = 0x1.0p52;

// An integer below 2^52 as a double.
MDGEN_INLINE double to_double(std::uint64_t integer) {
  return std::bit_cast<double>(integer | kExponentOf2To52) - k2To52;
}

// ln of a normal number > 0: the exponent and, for m in [sqrt(1/2), sqrt(2)), 2 artanh((m - 1) / (m + 1)).
MDGEN_INLINE double natural_log(double x) {
  constexpr std::uint64_t kOne = 0x3FF0000000000000;
  constexpr std::uint64_t kRootOfHalf = 0x3FE6A09E667F3BCD;
  constexpr std::uint64_t kBias = 1023;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t exponent = (bits + (kOne - kRootOfHalf)) >> 52;
  const double m = std::bit_cast<double>(bits - ((exponent - kBias) << 52));
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  const double tail =
      z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z * (1.0 / 13))))));
  return (to_double(exponent) - static_cast<double>(kBias)) * std::numbers::ln2 + 2 * (s + s * tail);
}

// cos and sin of an angle in [0, 2 pi]: Taylor's series within an eighth of a turn of a quarter turn's
// multiple.
MDGEN_INLINE void cos_sin(double angle, float& cos, float& sin) {
  constexpr double kToInteger = 0x1.8p52;  // adding it rounds to an integer, which the low bits then hold
  const double shifted = angle * (2 / std::numbers::pi) + kToInteger;
  const std::uint64_t quarter = std::bit_cast<std::uint64_t>(shifted);
  const double r = angle - (shifted - kToInteger) * (std::numbers::pi / 2);
  const double z = r * r;
  const double s =
      r +
      r * z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 + z * (-1.0 / 39916800)))));
  const double c =
      1 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320 +
                                                             z * (-1.0 / 3628800 + z * (1.0 / 479001600))))));
  const std::uint64_t sin_bits = std::bit_cast<std::uint64_t>(s);
  const std::uint64_t cos_bits = std::bit_cast<std::uint64_t>(c);
  const std::uint64_t swap = (sin_bits ^ cos_bits) & (0 - (quarter & 1));
  cos = static_cast<float>(std::bit_cast<double>((cos_bits ^ swap) ^ (((quarter + 1) & 2) << 62)));
  sin = static_cast<float>(std::bit_cast<double>((sin_bits ^ swap) ^ ((quarter & 2) << 62)));
}

MDGEN_INLINE void box_muller(const Lanes<std::uint32_t>& radius_words,
                             const Lanes<std::uint32_t>& angle_words, Lanes<float>& first,
                             Lanes<float>& second) {
  constexpr float kTurn = 2.0F * std::numbers::pi_v<float>;
  alignas(64) Lanes<double> u;
  alignas(64) Lanes<double> angle;
  alignas(64) Lanes<float> log;
  for (std::size_t i = 0; i < kTile; ++i) {
    u[i] = static_cast<float>(to_double(radius_words[i])) * 0x1.0p-32F + 0x1.0p-33F;
    angle[i] = kTurn * (static_cast<float>(static_cast<std::int32_t>(angle_words[i] >> 8)) * 0x1.0p-24F);
  }
  for (std::size_t i = 0; i < kTile; ++i) log[i] = static_cast<float>(natural_log(u[i]));
  for (std::size_t i = 0; i < kTile; ++i) cos_sin(angle[i], first[i], second[i]);
  for (std::size_t i = 0; i < kTile; ++i) {
    const float radius = std::sqrt(-2.0F * log[i]);
    first[i] *= radius;
    second[i] *= radius;
  }
}

MDGEN_INLINE void tile(PhiloxKey key, Words& words, float* out) {
  encrypt(key, words);
  alignas(64) Lanes<float> normals[4];
  box_muller(words.w[0], words.w[1], normals[0], normals[1]);
  box_muller(words.w[2], words.w[3], normals[2], normals[3]);
  for (std::size_t i = 0; i < kTile; ++i)
    for (std::size_t k = 0; k < 4; ++k) out[4 * i + k] = normals[k][i];
}

void portable_tile(PhiloxKey key, Words& words, float* out) { tile(key, words, out); }

using Tile = void (*)(PhiloxKey, Words&, float*);

#if defined(__x86_64__) && defined(__GNUC__)
[[gnu::target("avx2")]] void avx2_tile(PhiloxKey key, Words& words, float* out) { tile(key, words, out); }
[[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")]] void avx512_tile(PhiloxKey key,
                                                                                               Words& words,
                                                                                               float* out) {
  tile(key, words, out);
}
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
struct Kernel {
  const char* name = has_avx512() ? "avx512" : __builtin_cpu_supports("avx2") ? "avx2" : "portable";
  Tile tile = has_avx512() ? avx512_tile : __builtin_cpu_supports("avx2") ? avx2_tile : portable_tile;
};
#else
struct Kernel {
  const char* name = "portable";
  Tile tile = portable_tile;
};
#endif

const Kernel& kernel() {
  static const Kernel best;
  return best;
}

void run(Tile tile, PhiloxKey key, PhiloxCounter first, std::span<const std::uint32_t> last_words,
         float* out) {
  Words words;
  std::array<float, 4 * kTile> tail;
  for (std::size_t begin = 0; begin < last_words.size(); begin += kTile) {
    const std::size_t count = std::min(kTile, last_words.size() - begin);
    for (std::size_t k = 0; k < 3; ++k) words.w[k].fill(first[k]);
    words.w[3].fill(0);
    std::copy_n(&last_words[begin], count, words.w[3].begin());
    float* target = out + kNormalsPerCounter * begin;
    tile(key, words, count == kTile ? target : tail.data());
    if (count < kTile) std::copy_n(tail.begin(), kNormalsPerCounter * count, target);
  }
}

}  // namespace

void philox_normals(PhiloxKey key, PhiloxCounter first, std::span<const std::uint32_t> last_words,
                    float* out) {
  run(kernel().tile, key, first, last_words, out);
}

const char* normal_kernel_name() { return kernel().name; }

void philox_normals_portable(PhiloxKey key, PhiloxCounter first, std::span<const std::uint32_t> last_words,
                             float* out) {
  run(portable_tile, key, first, last_words, out);
}

}  // namespace mdgen::data
