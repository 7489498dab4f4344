#include "services/worker/stop_signal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/base/error.h"

namespace mdgen::worker {

StopSignal::StopSignal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw Error(ErrorCode::kUnavailable, std::string("eventfd: ") + std::strerror(errno));
}

StopSignal::~StopSignal() { ::close(fd_); }

void StopSignal::request(int number) noexcept {
  number_.store(number);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

std::uint64_t StopSignal::take() const noexcept {
  std::uint64_t requests = 0;
  return ::read(fd_, &requests, sizeof requests) == sizeof requests ? requests : 0;
}

}  // namespace mdgen::worker
