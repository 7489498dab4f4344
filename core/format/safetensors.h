// The safetensors format (github.com/huggingface/safetensors, "Format"): 8-byte header length, JSON header,
// raw tensors. No LibTorch: tensors are raw little-endian bytes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/files.h"

namespace mdgen::format {

// Bytes of one item; 0 for a dtype that is none of the format's.
std::size_t dtype_size(std::string_view dtype);

struct TensorInfo {
  std::string dtype;  // "F64" "F32" "F16" "BF16" "I64" "I32" "I16" "I8" "U8" "BOOL"
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;  // in the data part
  std::size_t end = 0;
};

struct TensorBytes {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  // C order; must outlive the call
};

// Writes a new file (it must not exist) and fsyncs it. The data part is aligned to 64 bytes. Tensors in the
// given order. Returns what was written.
WrittenFile write_safetensors(const std::filesystem::path& file, std::span<const TensorBytes> tensors,
                              const std::map<std::string, std::string>& metadata);

// A read-only memory map. Throws Error naming file and tensor: bad header, overlap, hole, size against shape,
// truncated.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& file);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  const std::map<std::string, TensorInfo>& tensors() const;
  const std::map<std::string, std::string>& metadata() const;
  std::span<const std::byte> bytes(const std::string& name) const;

 private:
  struct Map;
  std::unique_ptr<Map> map_;
};

}  // namespace mdgen::format
