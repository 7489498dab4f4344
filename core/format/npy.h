// NumPy's .npy format, versions 1 to 3 (numpy/lib/format.py documents it). No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdgen::format {

struct NpyHeader {
  std::string dtype;  // as in the file: "<f2", "<f4", "|u1", …
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;
  std::size_t item_size = 0;
};

// Where the data of a file begin whose first bytes are `beginning` (4096 will do, or all that it has). Throws
// Error(kDataLoss) naming `name` and the reason: empty, not an .npy, unknown version, a header that is longer
// than the file or than NumPy's limit of 10,000 bytes.
std::size_t npy_data_offset(std::string_view beginning, std::size_t file_bytes, const std::string& name);

// Parses the header; `beginning` reaches to npy_data_offset() at least. Allocates no more than the header's
// text needs, whatever the header says. Accepts nothing that NumPy refuses. Throws Error(kDataLoss) naming
// `name` and the reason: as above, malformed, unknown dtype (object and structured arrays included), a shape
// that does not fit the file's size.
NpyHeader parse_npy_header(std::string_view beginning, std::size_t file_bytes, const std::string& name);

// Throws as NpyFile's constructor does.
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
// The same for many, by the processor's own instruction where it has one.
void floats_to_halves(std::span<const float> values, std::span<std::uint16_t> halves);

}  // namespace mdgen::format
