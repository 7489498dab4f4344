#include "core/checkpoint/owner.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace mdgen::checkpoint {
namespace {

std::string machine_here() {
  std::array<char, PATH_MAX> processes{};
  if (::readlink("/proc/self/ns/pid", processes.data(), processes.size() - 1) < 0) processes[0] = '\0';
  return sha256_hex(read_file("/proc/sys/kernel/random/boot_id") + processes.data()).substr(0, 8);
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

// The 22nd field of /proc/<pid>/stat; the second is in parentheses and may hold anything.
std::optional<unsigned long long> start_of(long pid) {
  std::string stat;
  try {
    stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  } catch (const Error&) {
    return std::nullopt;
  }
  std::string_view rest = stat;
  rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 1));
  for (int field = 3; field < 22 && !rest.empty(); ++field) {
    rest.remove_prefix(std::min(rest.size(), rest.find(' ', 1)));
  }
  unsigned long long started = 0;
  if (rest.size() < 2) return std::nullopt;
  rest.remove_prefix(1);
  return parse(rest.substr(0, rest.find(' ')), started) ? std::optional(started) : std::nullopt;
}

}  // namespace

Owner this_process() {
  static const std::string machine = machine_here();
  const long pid = ::getpid();
  return {machine, pid, start_of(pid).value_or(0)};
}

std::string to_text(const Owner& owner) {
  return owner.machine + "." + std::to_string(owner.pid) + "." + std::to_string(owner.started);
}

std::optional<Owner> owner_from_text(std::string_view text) {
  const auto first = text.find('.');
  const auto second = first == std::string_view::npos ? first : text.find('.', first + 1);
  Owner owner;
  if (second == std::string_view::npos || first != 8) return std::nullopt;
  owner.machine = text.substr(0, first);
  if (!parse(text.substr(first + 1, second - first - 1), owner.pid) || owner.pid <= 0) return std::nullopt;
  if (!parse(text.substr(second + 1), owner.started)) return std::nullopt;
  return owner;
}

Life life_of(const Owner& owner) {
  const Owner here = this_process();
  if (owner.machine != here.machine) return Life::kUnknown;
  if (::kill(static_cast<pid_t>(owner.pid), 0) != 0 && errno == ESRCH) return Life::kDead;
  const auto started = start_of(owner.pid);
  if (!started)
    return ::kill(static_cast<pid_t>(owner.pid), 0) != 0 && errno == ESRCH ? Life::kDead : Life::kUnknown;
  return *started == owner.started ? Life::kAlive : Life::kDead;
}

}  // namespace mdgen::checkpoint
