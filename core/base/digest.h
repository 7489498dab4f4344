// SHA-256 digests as lower-case hexadecimal text.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace mdgen {

// Incremental SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(const void* data, std::size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  // The digest of all that was given; the object is empty afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

// Throws Error(kNotFound) when the file cannot be opened, Error(kDataLoss) when reading fails half-way,
// Error(kUnavailable) when it went stale (NFS).
std::string sha256_file(const std::filesystem::path& file);

}  // namespace mdgen
