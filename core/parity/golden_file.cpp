#include "core/parity/golden_file.h"

#include <cstring>
#include <sstream>

#include "core/base/error.h"
#include "core/format/safetensors.h"

namespace mdgen::parity {
namespace {

at::ScalarType scalar_type(const std::string& dtype, const std::string& where) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F64") return at::kDouble;
  if (dtype == "I64") return at::kLong;
  if (dtype == "I32") return at::kInt;
  if (dtype == "U8") return at::kByte;
  if (dtype == "BOOL") return at::kBool;
  throw Error(ErrorCode::kDataLoss, where + ": type " + dtype + " is none of F32 F64 I64 I32 U8 BOOL");
}

}  // namespace

GoldenFile::GoldenFile(const std::filesystem::path& file) : name_(file.stem().string()) {
  const format::SafetensorsFile source(file);
  for (const auto& [name, info] : source.tensors()) {
    at::Tensor tensor = at::empty(info.shape, scalar_type(info.dtype, file.string() + ": " + name));
    const auto bytes = source.bytes(name);
    if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    tensors_.emplace(name, std::move(tensor));
  }
  const auto flags = source.metadata().find("flags");
  if (flags == source.metadata().end()) return;
  std::istringstream words(flags->second);
  for (std::string word; words >> word;) flags_.push_back(word);
}

bool GoldenFile::has_any(const std::string& prefix) const {
  const auto first = tensors_.lower_bound(prefix);
  return first != tensors_.end() && first->first.starts_with(prefix);
}

const at::Tensor& GoldenFile::at(const std::string& tensor) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) {
    throw Error(ErrorCode::kDataLoss, name_ + ": there is no tensor " + tensor);
  }
  return found->second;
}

std::map<std::string, at::Tensor> GoldenFile::under(const std::string& prefix) const {
  std::map<std::string, at::Tensor> result;
  for (auto it = tensors_.lower_bound(prefix); it != tensors_.end() && it->first.starts_with(prefix); ++it) {
    result.emplace(it->first.substr(prefix.size()), it->second);
  }
  return result;
}

}  // namespace mdgen::parity
