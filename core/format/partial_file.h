// A file that gets its name only when it is whole. No LibTorch.
#pragma once

#include <filesystem>

namespace mdgen::format {

// Somebody writes to path(), `<file>.partial`; publish() gives it its name. Unless that was reached it is
// removed; one that a killed process left behind is overwritten. Throws Error naming the file. One thread at
// a time.
class PartialFile {
 public:
  // Makes path(), empty. Throws Error(kAborted) while another process holds it.
  explicit PartialFile(std::filesystem::path file);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  const std::filesystem::path& path() const { return partial_; }
  const std::filesystem::path& file() const { return file_; }

  int descriptor() const { return fd_; }  // open for writing

  void sync();
  // Syncs and renames, replacing an older file.
  void publish();

 private:
  std::filesystem::path file_;
  std::filesystem::path partial_;
  int fd_ = -1;
};

}  // namespace mdgen::format
