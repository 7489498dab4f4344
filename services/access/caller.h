// Who calls, and what they may do.
#pragma once

#include <string>

namespace mdgen::access {

// Each may do what those before it may.
enum class Role {
  kViewer,     // looks
  kSubmitter,  // submits jobs, and changes those that are their own
  kAdmin,      // changes every job, drains workers, injects faults; agents connect with it
};

// Without access control everybody is the admin without a name.
struct Caller {
  std::string name;  // of the token; empty: none was asked for
  Role role = Role::kAdmin;
};

// Whether `caller` may change a job of `owner`.
inline bool may_change(const Caller& caller, const std::string& owner) {
  return caller.role == Role::kAdmin || (caller.role == Role::kSubmitter && caller.name == owner);
}

}  // namespace mdgen::access
