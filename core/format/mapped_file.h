// A whole file as read-only memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace mdgen::format {

// Thread-safe after construction. Movable. The file must not shrink while it is mapped (SIGBUS).
class MappedFile {
 public:
  // Throws Error naming the file: absent, a folder, unreadable.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(address_), size_}; }

 private:
  void* address_ = nullptr;  // null for an empty file
  std::size_t size_ = 0;
};

}  // namespace mdgen::format
