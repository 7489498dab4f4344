// A file that grows line by line and outlives a full disk.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace mdgen::train {

// What finds no room (a full disk or quota) waits in memory and is written, in order and whole, before what
// comes later. Not thread-safe.
class AppendFile {
 public:
  static constexpr std::size_t kMostWaiting = 64 << 20;  // bytes; with more a full disk is an error too

  // Throws Error naming the file.
  explicit AppendFile(std::filesystem::path file);
  ~AppendFile();  // tries once more
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Throws Error naming the file for any other trouble.
  void append(std::string_view text);
  std::size_t waiting() const { return waiting_.size(); }

 private:
  bool write_waiting();  // false: there is no room

  std::filesystem::path file_;
  int fd_ = -1;
  std::string waiting_;
  bool full_ = false;
};

}  // namespace mdgen::train
