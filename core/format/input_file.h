// Random reads of a file without mapping it: memory does not grow with the file, and a file that shrinks
// meanwhile is an error, not a signal. No LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace mdgen::format {

// Thread-safe after construction. Movable.
class InputFile {
 public:
  // Throws Error naming the file: absent, no regular file, unreadable.
  explicit InputFile(std::filesystem::path file);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;

  const std::filesystem::path& path() const { return file_; }
  std::size_t size() const { return size_; }  // when it was opened

  // Fills `out` from byte `at` on and returns how much there was; less than asked for only at the file's end.
  // Throws Error when the system cannot read.
  std::size_t read(std::size_t at, std::span<std::byte> out) const;

 private:
  std::filesystem::path file_;
  int fd_ = -1;
  std::size_t size_ = 0;
};

}  // namespace mdgen::format
