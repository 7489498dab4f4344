// Zip archives whose members are stored, not compressed, as PyTorch writes them; zip64 included. A thin layer
// over libzip. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mdgen::format {

// Not thread-safe. Throws Error(kDataLoss) naming file and member: no zip archive, truncated, a name twice, a
// compressed or encrypted member, members that claim more bytes than the file has, a wrong CRC.
class ZipReader {
 public:
  explicit ZipReader(const std::filesystem::path& file);
  ~ZipReader();
  ZipReader(ZipReader&&) noexcept;
  ZipReader& operator=(ZipReader&&) noexcept;

  const std::filesystem::path& path() const;
  std::vector<std::string> names() const;  // in the archive's order
  bool contains(const std::string& name) const;
  std::uint64_t size(const std::string& name) const;
  std::uint64_t file_size() const;
  // The whole member; its CRC is checked.
  std::vector<std::byte> read(const std::string& name) const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

struct ZipMember {
  std::string name;
  std::span<const std::byte> data;  // must outlive the call
};

// Writes the archive beside `file`, fsyncs it and renames it over `file`. Members are stored in the given
// order.
void write_zip(const std::filesystem::path& file, std::span<const ZipMember> members);

}  // namespace mdgen::format
