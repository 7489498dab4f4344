#include "core/base/fast_digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cinttypes>
#include <cstdio>

namespace mdgen {

struct FastDigest::State {
  XXH3_state_t xxh;
};

FastDigest::FastDigest() : state_(std::make_unique<State>()) { XXH3_64bits_reset(&state_->xxh); }
FastDigest::~FastDigest() = default;

void FastDigest::update(const void* data, std::size_t bytes) {
  if (bytes > 0) XXH3_64bits_update(&state_->xxh, data, bytes);
}

std::string FastDigest::hex() const {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, XXH3_64bits_digest(&state_->xxh));
  return text.data();
}

}  // namespace mdgen
