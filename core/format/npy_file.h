// An .npy file that is open for reading: for who wants parts of an array, or only to know what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "core/format/npy.h"

namespace mdgen::format {

// One open(), one fstat() and one pread() of the header; nothing is ever executed (object arrays are
// refused). What is no regular file is refused without waiting: a FIFO has no writer to wait for. Symbolic
// links are followed. Thread-safe after construction.
class NpyFile {
 public:
  // Throws Error naming the file: kNotFound (no such file, or a link that leads nowhere), kFailedPrecondition
  // (no permission), kUnavailable (the system's reason), kDataLoss (no regular file, no .npy, truncated).
  explicit NpyFile(const std::filesystem::path& file);
  ~NpyFile();
  NpyFile(const NpyFile&) = delete;
  NpyFile& operator=(const NpyFile&) = delete;

  const std::string& name() const { return name_; }
  const NpyHeader& header() const { return header_; }
  std::int64_t bytes() const { return bytes_; }        // when it was opened
  std::int64_t mtime_ns() const { return mtime_ns_; }  // since 1970

  // Fills `target` from `offset` on, counted from the file's first byte. Throws Error(kDataLoss) when the
  // file ends before, as one does that is truncated while in use.
  void read(std::span<std::byte> target, std::int64_t offset) const;

 private:
  void examine();

  std::string name_;
  int descriptor_;
  NpyHeader header_;
  std::int64_t bytes_ = 0;
  std::int64_t mtime_ns_ = 0;
};

}  // namespace mdgen::format
