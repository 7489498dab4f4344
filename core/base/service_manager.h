// What a program tells the service manager that started it (systemd's sd_notify protocol).
#pragma once

#include <string_view>

namespace mdgen {

// Sends lines such as "READY=1\nSTATUS=serving" as one datagram to $NOTIFY_SOCKET. Without the variable, or
// when nobody takes it, nothing happens: a service does not depend on being watched. False then.
bool notify_service_manager(std::string_view lines) noexcept;

}  // namespace mdgen
