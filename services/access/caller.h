// Who calls, and what they may do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mdgen::access {

// Of the first three, each may do what those before it may.
enum class Role {
  kViewer,     // looks
  kSubmitter,  // submits jobs, and changes those that are their own
  kAdmin,      // everything: changes every job, drains workers, injects faults
  kWorker,     // an agent: holds a slot, and nothing else
};

// Without access control everybody is the admin without a name.
struct Caller {
  std::string name;  // of the token or certificate; empty: none was asked for
  Role role = Role::kAdmin;
  std::string peer{};  // where the call came from, as the transport names it: "ipv4:10.0.0.3:51412"
};

// Whether `caller` may change a job of `owner`.
inline bool may_change(const Caller& caller, const std::string& owner) {
  return caller.role == Role::kAdmin || (caller.role == Role::kSubmitter && caller.name == owner);
}

// "viewer", "submitter", "admin", "worker".
inline const char* role_name(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kSubmitter:
      return "submitter";
    case Role::kAdmin:
      return "admin";
    case Role::kWorker:
      return "worker";
  }
  return "?";
}

inline std::optional<Role> role_from_name(std::string_view name) {
  for (const Role role : {Role::kViewer, Role::kSubmitter, Role::kAdmin, Role::kWorker})
    if (name == role_name(role)) return role;
  return std::nullopt;
}

}  // namespace mdgen::access
