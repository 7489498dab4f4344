#include "core/model/dropout.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/error.h"

namespace mdgen::model {
namespace {

// C. Wellons' 32-bit integer hash "16 21f0aaad 15 735a2d97 15" (hash-prospector), applied to a state xor a
// word times an odd constant. All constants lie below 2^31, so that int64 products of 32-bit values do not
// overflow.
constexpr std::int64_t kMask = 0xFFFFFFFF;
constexpr std::int64_t kFirst = 0x21F0AAAD;
constexpr std::int64_t kSecond = 0x735A2D97;
constexpr std::int64_t kOdd = 0x61C88647;
constexpr double kHashes = 0x1.0p32;
constexpr std::int64_t kStart = 0x6D646765;
constexpr std::int64_t kBiasToken = 0xFFFFFF;  // a position that no residue or frame has

std::uint32_t absorb(std::uint32_t state, std::uint32_t word) {
  std::uint32_t x = state ^ word * static_cast<std::uint32_t>(kOdd);
  x = (x ^ x >> 16) * static_cast<std::uint32_t>(kFirst);
  x = (x ^ x >> 15) * static_cast<std::uint32_t>(kSecond);
  return x ^ x >> 15;
}

at::Tensor absorb(const at::Tensor& state, const at::Tensor& word) {
  at::Tensor x = at::bitwise_xor(state, (word * kOdd).bitwise_and_(kMask));
  x.bitwise_xor_(at::bitwise_right_shift(x, 16)).mul_(kFirst).bitwise_and_(kMask);
  x.bitwise_xor_(at::bitwise_right_shift(x, 15)).mul_(kSecond).bitwise_and_(kMask);
  return x.bitwise_xor_(at::bitwise_right_shift(x, 15));
}

at::Tensor absorb(const at::Tensor& state, std::int64_t word) {
  return absorb(state, at::scalar_tensor(word, state.options()));
}

void check(const char* what, const at::Tensor& tensor, const at::Tensor& key) {
  if (tensor.defined() && tensor.scalar_type() == at::kLong && tensor.dim() == 1 &&
      tensor.size(0) == key.size(0)) {
    return;
  }
  throw Error(ErrorCode::kInvalidArgument,
              std::string("dropout needs ") + what + " as one int64 for each sample of the batch");
}

std::vector<std::int64_t> with_columns(const at::Tensor& rows, const at::Tensor& columns) {
  std::vector<std::int64_t> shape = rows.sizes().vec();
  shape.push_back(columns.size(1));
  return shape;
}

}  // namespace

Dropout::Dropout(double rate, const at::Tensor& key, const at::Tensor& first_residue)
    : rate_(rate), first_residue_(first_residue) {
  if (!active()) return;
  check("Conditioning.dropout_key", key, key);
  check("Conditioning.first_residue", first_residue, key);
  const at::NoGradGuard no_grad;
  const at::Tensor high = at::bitwise_right_shift(key, 32).bitwise_and_(kMask);
  stream_ = absorb(absorb(at::full_like(key, kStart), at::bitwise_and(key, kMask)), high);
}

Dropout Dropout::of(std::uint32_t part) const {
  if (!active()) return {};
  Dropout result = *this;
  result.stream_ = absorb(stream_, part);
  return result;
}

Dropout Dropout::cat(const Dropout& a, const Dropout& b) {
  if (!a.active()) return {};
  Dropout result = a;
  result.stream_ = at::cat({a.stream_, b.stream_});
  result.first_residue_ = at::cat({a.first_residue_, b.first_residue_});
  return result;
}

at::Tensor Dropout::apply(const at::Tensor& probabilities, Along along) const {
  if (!active()) return probabilities;
  if (rate_ >= 1) return at::zeros_like(probabilities) * probabilities;
  at::Tensor dropped;
  {
    const at::NoGradGuard no_grad;
    const std::int64_t samples = stream_.size(0);
    const std::int64_t others = probabilities.size(0) / samples;
    const std::int64_t queries = probabilities.size(2);
    const auto count = [&](std::int64_t n) { return at::arange(n, stream_.options()); };
    const bool residues = along == Along::kResidues;
    const at::Tensor first = first_residue_.unsqueeze(1);
    const at::Tensor positions = (residues ? count(queries) + first : count(queries).expand({samples, -1}));
    const at::Tensor other = residues ? count(others).expand({samples, -1}) : count(others) + first;

    at::Tensor rows = absorb(stream_.unsqueeze(1), other).unsqueeze(2);  // (B, M, 1)
    rows = absorb(rows, count(probabilities.size(1))).unsqueeze(3);      // (B, M, H, 1)
    rows = absorb(rows, positions.unsqueeze(1).unsqueeze(1));            // (B, M, H, S)
    at::Tensor columns = positions;                                      // (B, S)
    if (probabilities.size(3) > queries) columns = at::constant_pad_nd(columns, {0, 1}, kBiasToken);
    const auto threshold = static_cast<std::int64_t>(std::llround(rate_ * kHashes));
    const auto compute = rows.is_cpu() ? dropped_on_cpu : dropped_on_any_device;
    dropped = compute(rows, columns, threshold).flatten(0, 1);
  }
  return probabilities.masked_fill(dropped, 0) * (1 / (1 - rate_));
}

at::Tensor dropped_on_cpu(const at::Tensor& rows, const at::Tensor& columns, std::int64_t threshold) {
  const at::Tensor result = at::zeros(with_columns(rows, columns), rows.options().dtype(at::kBool));
  if (threshold <= 0 || result.numel() == 0) return result;
  const auto last = static_cast<std::uint32_t>(threshold - 1);
  const at::Tensor flat_rows = rows.contiguous();
  const at::Tensor words = columns.to(at::kInt).contiguous();
  const std::int64_t width = columns.size(1);
  const std::int64_t rows_each = rows.numel() / rows.size(0);
  const std::int64_t* states = flat_rows.const_data_ptr<std::int64_t>();
  const std::int32_t* word = words.const_data_ptr<std::int32_t>();
  bool* out = result.data_ptr<bool>();
  const std::int64_t grain =
      std::max<std::int64_t>(1, at::internal::GRAIN_SIZE / std::max<std::int64_t>(1, width));
  at::parallel_for(0, rows.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto state = static_cast<std::uint32_t>(states[row]);
      const std::int32_t* own = word + row / rows_each * width;
      bool* line = out + row * width;
      for (std::int64_t i = 0; i < width; ++i) {
        line[i] = absorb(state, static_cast<std::uint32_t>(own[i])) <= last;
      }
    }
  });
  return result;
}

at::Tensor dropped_on_any_device(const at::Tensor& rows, const at::Tensor& columns, std::int64_t threshold) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rows.dim()) + 1, 1);
  shape.front() = columns.size(0);
  shape.back() = columns.size(1);
  return absorb(rows.unsqueeze(-1), columns.view(shape)).lt(threshold);
}

}  // namespace mdgen::model
