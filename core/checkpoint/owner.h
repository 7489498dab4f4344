// Who made a temporary folder or a pin, and whether that process still lives: without locks, which network
// file systems do not keep, and without comparing the clocks of hosts. Internal to core/checkpoint.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mdgen::checkpoint {

struct Owner {
  std::string machine;  // 8 hexadecimal digits of this boot and this set of process numbers
  long pid = 0;
  unsigned long long started = 0;  // as /proc tells it: numbers come again, a number and a start do not

  bool operator==(const Owner&) const = default;
};

Owner this_process();

// "1a2b3c4d.4711.880012", a part of file names.
std::string to_text(const Owner& owner);
std::optional<Owner> owner_from_text(std::string_view text);

enum class Life {
  kAlive,
  kDead,
  kUnknown,  // of another machine, boot or container: cannot be told from here
};
Life life_of(const Owner& owner);

}  // namespace mdgen::checkpoint
