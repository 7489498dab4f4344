// A 64-bit digest (XXH3) at the speed of memory, to tell copies of data in memory apart. It is no defence
// against intent, and files have SHA-256 (digest.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mdgen {

// Incremental. Not thread-safe.
class FastDigest {
 public:
  FastDigest();
  ~FastDigest();
  FastDigest(const FastDigest&) = delete;
  FastDigest& operator=(const FastDigest&) = delete;

  void update(const void* data, std::size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  // Of all that was given so far: 16 lower-case hexadecimal digits.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen
