// Messages between a rank and its mdgen-mpi-host: the length as 8 bytes of this machine, then as many bytes.
// No LibTorch.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

namespace mdgen::comm {

inline bool write_all(int fd, const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(fd, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
  return true;
}

inline bool read_all(int fd, void* data, std::size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::read(fd, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

inline bool write_frame(int fd, const std::string& text) {
  const std::uint64_t bytes = text.size();
  return write_all(fd, &bytes, sizeof(bytes)) && write_all(fd, text.data(), text.size());
}

// Nothing at the end of the stream.
inline std::optional<std::string> read_frame(int fd) {
  std::uint64_t bytes = 0;
  if (!read_all(fd, &bytes, sizeof(bytes))) return std::nullopt;
  std::string text(bytes, '\0');
  if (!read_all(fd, text.data(), text.size())) return std::nullopt;
  return text;
}

}  // namespace mdgen::comm
