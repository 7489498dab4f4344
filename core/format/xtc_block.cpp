#include "core/format/xtc_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace mdgen::format {
namespace {

using Integers = std::array<std::int64_t, 3>;

// Rounded powers of 2^(1/3): three numbers below the i-th fit i bits.
constexpr std::array<std::uint32_t, 73> kRanges = {
    0,       0,       0,       0,       0,        0,        0,       0,       0,       8,       10,
    12,      16,      20,      25,      32,       40,       50,      64,      80,      101,     128,
    161,     203,     256,     322,     406,      512,      645,     812,     1024,    1290,    1625,
    2048,    2580,    3250,    4096,    5060,     6501,     8192,    10321,   13003,   16384,   20642,
    26007,   32768,   41285,   52015,   65536,    82570,    104031,  131072,  165140,  208063,  262144,
    330280,  416127,  524287,  660561,  832255,   1048576,  1321122, 1664510, 2097152, 2642245, 3329021,
    4194304, 5284491, 6658042, 8388607, 10568983, 13316085, 16777216};
constexpr std::int32_t kFirstRange = 9;
constexpr auto kLastRange = static_cast<std::int32_t>(kRanges.size()) - 1;

// Bits from the most significant one of each byte on. Past the end it gives what the padding holds, and
// overrun() says so.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> padded)
      : bytes_(padded.data()), bits_(8 * (padded.size() - kXtcPadding)) {}

  bool overrun() const { return at_ > bits_; }

  std::uint32_t take(unsigned count) {  // up to 32
    if (count == 0) return 0;
    const auto value = static_cast<std::uint32_t>(peek() >> (64 - count));
    advance(count);
    return value;
  }

  // A number whose bytes come with the least significant one first and whose last, partial byte is the most
  // significant. Up to 72 bits.
  unsigned __int128 take_reversed(unsigned count) {
    const unsigned whole = (count - 1) / 8 * 8;
    if (whole <= 48) return take_reversed_short(count);
    unsigned __int128 value = 0;
    for (unsigned done = 0; done < whole; done += 8) value |= static_cast<unsigned __int128>(take(8)) << done;
    return value | static_cast<unsigned __int128>(take(count - whole)) << whole;
  }

  std::uint64_t take_reversed_short(unsigned count) {  // up to 56
    const unsigned whole = (count - 1) / 8 * 8;
    const std::uint64_t window = peek();
    const std::uint64_t low = __builtin_bswap64(window) & ((std::uint64_t{1} << whole) - 1);
    const std::uint64_t high = (window << whole) >> (64 - (count - whole));
    advance(count);
    return low | high << whole;
  }

 private:
  std::uint64_t peek() const {  // 57 bits or more
    std::uint64_t word = 0;
    std::memcpy(&word, bytes_ + at_ / 8, sizeof(word));
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
    return word << (at_ % 8);
  }
  // Stops within the padding.
  void advance(unsigned count) { at_ = std::min(at_ + count, bits_ + 8); }

  const std::byte* bytes_;
  std::size_t bits_;
  std::size_t at_ = 0;
};

// Three numbers below `sizes`, packed into one.
template <typename Packed>
Integers unpack(Packed value, std::uint32_t size_y, std::uint32_t size_z) {
  const auto z = static_cast<std::int64_t>(value % size_z);
  value /= size_z;
  return {static_cast<std::int64_t>(value / size_y), static_cast<std::int64_t>(value % size_y), z};
}

// How the first atom of each group is stored.
class FullCoordinates {
 public:
  explicit FullCoordinates(const XtcBlock& block) {
    constexpr std::uint32_t kLargest = 0xffffff;  // up to here the three are packed into one number
    unsigned __int128 product = 1;
    bool large = false;
    for (std::size_t i = 0; i < 3; ++i) {
      least_[i] = block.least[i];
      const std::int64_t size = std::int64_t{block.greatest[i]} - block.least[i] + 1;
      valid_ = valid_ && size > 0 && size <= std::int64_t{0xffffffff};
      sizes_[i] = static_cast<std::uint32_t>(size);
      large = large || sizes_[i] > kLargest;
      bits_each_[i] = static_cast<unsigned>(std::bit_width(sizes_[i]));
      product *= sizes_[i];
    }
    for (bits_ = 0; !large && product > 0; product >>= 1) ++bits_;
  }

  bool valid() const { return valid_; }

  Integers take(BitReader& bits) const {
    Integers found{};
    if (bits_ == 0) {
      for (std::size_t i = 0; i < 3; ++i) found[i] = bits.take(bits_each_[i]);
    } else if (bits_ <= 56) {
      found = unpack(bits.take_reversed_short(bits_), sizes_[1], sizes_[2]);
    } else {
      found = unpack(bits.take_reversed(bits_), sizes_[1], sizes_[2]);
    }
    for (std::size_t i = 0; i < 3; ++i) found[i] += least_[i];
    return found;
  }

 private:
  Integers least_{};
  std::array<std::uint32_t, 3> sizes_{};
  std::array<unsigned, 3> bits_each_{};
  unsigned bits_ = 0;  // of all three; 0: each has its own
  bool valid_ = true;
};

// A difference from the atom before.
Integers take_difference(BitReader& bits, std::int32_t index) {
  const std::uint32_t range = kRanges[static_cast<std::size_t>(index)];
  const auto count = static_cast<unsigned>(index);
  if (count <= 32) return unpack(static_cast<std::uint32_t>(bits.take_reversed_short(count)), range, range);
  if (count <= 56) return unpack(bits.take_reversed_short(count), range, range);
  return unpack(bits.take_reversed(count), range, range);
}

// The number of further atoms in a group, times three, and the change of the differences' size.
struct Runs {
  std::uint32_t length = 0;
  std::int32_t index_step = 0;

  void take(BitReader& bits) {
    index_step = 0;
    if (bits.take(1) == 0) return;  // as long as the last one
    const std::uint32_t coded = bits.take(5);
    length = coded / 3;
    index_step = static_cast<std::int32_t>(coded % 3) - 1;
  }
};

}  // namespace

bool decode_xtc_block(const XtcBlock& block, std::span<std::array<double, 3>> positions) {
  BitReader bits(block.padded_bits);
  const FullCoordinates full(block);
  std::int32_t index = block.small_index;
  if (!full.valid() || index < kFirstRange || index > kLastRange) return false;
  constexpr double kAngstrom = 10;
  const double unit = kAngstrom / static_cast<double>(block.precision);
  auto out = positions.begin();
  const auto emit = [&](const Integers& at) {
    *out++ = {static_cast<double>(at[0]) * unit, static_cast<double>(at[1]) * unit,
              static_cast<double>(at[2]) * unit};
  };
  Runs run;
  while (out != positions.end()) {
    Integers last = full.take(bits);
    run.take(bits);
    if (bits.overrun() || positions.end() - out < static_cast<std::ptrdiff_t>(run.length) + 1) return false;
    if (run.length == 0) emit(last);
    const std::int64_t middle = kRanges[static_cast<std::size_t>(index)] / 2;
    for (std::uint32_t i = 0; i < run.length; ++i) {
      const Integers difference = take_difference(bits, index);
      const Integers next = {last[0] + difference[0] - middle, last[1] + difference[1] - middle,
                             last[2] + difference[2] - middle};
      emit(next);
      if (i == 0) emit(last);  // the group's first two atoms are stored in exchanged order
      last = next;
    }
    index += run.index_step;
    if (index < kFirstRange || index > kLastRange) return false;
  }
  return !bits.overrun();
}

}  // namespace mdgen::format
