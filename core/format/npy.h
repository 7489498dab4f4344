// NumPy's .npy format, versions 1 to 3 (numpy/lib/format.py documents it). No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mdgen::format {

struct NpyHeader {
  std::string dtype;  // as in the file: "<f2", "<f4", "|u1", …
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;
  std::size_t item_size = 0;
};

// Reads and checks the header against the file's size. Throws Error naming file and reason: not an .npy,
// unknown dtype (object arrays included), truncated.
NpyHeader read_npy_header(const std::filesystem::path& file);

// A read-only memory map of a C-ordered, little-endian array. Thread-safe after construction. Movable.
class NpyArray {
 public:
  explicit NpyArray(const std::filesystem::path& file);
  ~NpyArray();
  NpyArray(NpyArray&&) noexcept;
  NpyArray& operator=(NpyArray&&) noexcept;

  const NpyHeader& header() const;
  const std::byte* data() const;  // the first element

 private:
  struct Map;
  std::unique_ptr<Map> map_;
};

// Writes an array atomically (temporary name, fsync, rename). `dtype` as in NpyHeader.
void write_npy(const std::filesystem::path& file, const std::string& dtype,
               std::span<const std::int64_t> shape, std::span<const std::byte> data);

float half_to_float(std::uint16_t half);
std::uint16_t float_to_half(float value);  // round to nearest even; overflow to infinity

}  // namespace mdgen::format
