#include "core/checkpoint/compare.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "core/base/error.h"
#include "core/config/schema.h"
#include "core/format/npy.h"
#include "core/format/safetensors.h"

namespace mdgen::checkpoint {
namespace {

template <typename Number>
double number_at(const std::byte* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

double half_at(const std::byte* bytes) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return format::half_to_float(bits);
}

double bfloat16_at(const std::byte* bytes) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

using Reader = double (*)(const std::byte*);

Reader reader_of(const std::string& dtype) {
  if (dtype == "F64") return &number_at<double>;
  if (dtype == "F32") return &number_at<float>;
  if (dtype == "F16") return &half_at;
  if (dtype == "BF16") return &bfloat16_at;
  if (dtype == "I64") return &number_at<std::int64_t>;
  if (dtype == "I32") return &number_at<std::int32_t>;
  if (dtype == "I16") return &number_at<std::int16_t>;
  if (dtype == "I8") return &number_at<std::int8_t>;
  if (dtype == "U8" || dtype == "BOOL") return &number_at<std::uint8_t>;
  throw Error(ErrorCode::kUnimplemented, "values of type " + dtype + " cannot be compared");
}

void take(TensorDifference& difference, double a, double b) {
  ++difference.differing;
  const double absolute = std::abs(a - b);
  if (!std::isfinite(absolute)) {
    difference.max_absolute = difference.max_relative = std::numeric_limits<double>::infinity();
    return;
  }
  difference.max_absolute = std::max(difference.max_absolute, absolute);
  const double larger = std::max(std::abs(a), std::abs(b));
  if (larger > 0) difference.max_relative = std::max(difference.max_relative, absolute / larger);
}

std::string kind_of(const PortableTensor& tensor) {
  std::string text = tensor.dtype + " (";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
  return text + ")";
}

void compare_values(const PortableTensor& a, const PortableTensor& b, TensorDifference& difference) {
  const Reader read = reader_of(a.dtype);
  const std::size_t size = format::dtype_size(a.dtype);
  difference.elements = static_cast<std::int64_t>(a.data.size() / size);
  for (std::size_t at = 0; at + size <= a.data.size(); at += size) {
    const std::byte* one = a.data.data() + at;
    const std::byte* other = b.data.data() + at;
    if (std::memcmp(one, other, size) == 0) continue;
    const double x = read(one);
    const double y = read(other);
    if (!(std::isnan(x) && std::isnan(y))) take(difference, x, y);
  }
}

void compare_sets(const std::string& set, const PortableTensors& a, const PortableTensors& b,
                  Comparison& result) {
  std::set<std::string> names;
  for (const PortableTensors* tensors : {&a, &b})
    for (const auto& [name, tensor] : *tensors) names.insert(name);
  for (const std::string& name : names) {
    ++result.tensors;
    TensorDifference difference{.set = set, .name = name};
    const auto one = a.find(name);
    const auto other = b.find(name);
    if (one == a.end() || other == b.end()) {
      difference.problem = one == a.end() ? "only in the second" : "only in the first";
    } else if (one->second.dtype != other->second.dtype || one->second.shape != other->second.shape) {
      difference.problem = kind_of(one->second) + ", " + kind_of(other->second);
    } else {
      compare_values(one->second, other->second, difference);
    }
    if (difference.differing > 0 || !difference.problem.empty())
      result.differences.push_back(std::move(difference));
  }
}

std::string text_of(const v1::JobSpec& spec, const config::Field& field) {
  const auto value = config::get_value(spec, field);
  return value ? config::value_text(*value) : "unset";
}

}  // namespace

Comparison compare(const Portable& a, const Portable& b) {
  Comparison result;
  compare_sets("weights", a.model, b.model, result);
  compare_sets("moving average", a.ema, b.ema, result);
  compare_sets("optimizer", a.optimizer, b.optimizer, result);
  for (const config::Field& field : config::Schema::get().fields()) {
    const std::string one = text_of(a.spec, field);
    const std::string other = text_of(b.spec, field);
    if (one != other) result.spec.push_back(field.key + ": " + one + ", " + other);
  }
  return result;
}

}  // namespace mdgen::checkpoint
