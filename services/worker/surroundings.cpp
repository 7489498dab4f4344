#include "services/worker/surroundings.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace mdgen::worker {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string numeric_host(const sockaddr* address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  ::getnameinfo(address, length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
  return host.data();
}

std::string source_address(const addrinfo& target) {
  const int fd = ::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  auto* address = reinterpret_cast<sockaddr*>(&own);
  const bool known =
      ::connect(fd, target.ai_addr, target.ai_addrlen) == 0 && ::getsockname(fd, address, &length) == 0;
  ::close(fd);
  return known ? numeric_host(address, length) : std::string();
}

}  // namespace

std::string device_name(std::string_view asked, std::string_view cuda_visible_devices, int local_rank) {
  if (asked == "cpu" || (asked.starts_with("cuda:") && is_number(asked.substr(5)))) return std::string(asked);
  if (asked != "cuda") {
    throw Error(ErrorCode::kInvalidArgument,
                "device '" + std::string(asked) + "' is not known; allowed: cpu, cuda, cuda:N");
  }
  const bool only_one =
      !cuda_visible_devices.empty() && cuda_visible_devices.find(',') == std::string_view::npos;
  return "cuda:" + std::to_string(only_one ? 0 : local_rank);
}

std::string local_address_towards(const std::string& host_and_port) {
  const std::size_t colon = host_and_port.rfind(':');
  const std::string port = colon == std::string::npos ? "" : host_and_port.substr(colon + 1);
  std::string host = host_and_port.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty() || !is_number(port)) {
    throw Error(ErrorCode::kInvalidArgument, "coordinator address '" + host_and_port + "' is not HOST:PORT");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    throw Error(ErrorCode::kUnavailable,
                "coordinator address '" + host_and_port + "': " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (std::string address = source_address(*one); !address.empty()) return address;
  }
  throw Error(ErrorCode::kUnavailable, "no route to the coordinator at " + host_and_port);
}

std::filesystem::path program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

int usable_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(CPU_COUNT(&set), 1);
}

v1::Register describe_host() {
  v1::Register registration;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  registration.set_host(name.data());
  registration.set_pid(::getpid());
  registration.set_boot_id(std::string(trim(read_file("/proc/sys/kernel/random/boot_id"))));
  registration.set_cpus(usable_cpus());
  return registration;
}

}  // namespace mdgen::worker
