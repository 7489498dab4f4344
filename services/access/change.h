// A change, from whichever transport: its role is asked, and it is noted, refused or not.
#pragma once

#include <exception>
#include <type_traits>

#include "core/base/error.h"
#include "services/access/audit_log.h"
#include "services/access/methods.h"

namespace mdgen::access {

// Calls body(record), which may complete the record (a new job's id), and writes the record. `audit` may be
// null. Throws what `body` throws, Error(kPermissionDenied) when the caller's role does not suffice for
// record.method, and Error(kUnavailable), before anything is changed, when the audit log cannot be written.
template <typename Body>
auto carry_out(AuditLog* audit, AuditRecord record, Body&& body) {
  const auto note = [&](const char* code, const char* message) {
    record.code = code;
    record.message = message;
    if (audit != nullptr) audit->write(record);
  };
  try {
    const Need need = need_of_change(record.method);
    if (!suffices(record.caller.role, need)) {
      throw Error(ErrorCode::kPermissionDenied, record.method + " needs the role " + need_text(need) + "; " +
                                                    record.caller.name + " is a " +
                                                    role_name(record.caller.role));
    }
    if (audit != nullptr) audit->prepare();
    if constexpr (std::is_void_v<decltype(body(record))>) {
      body(record);
      note("OK", "");
    } else {
      auto result = body(record);
      note("OK", "");
      return result;
    }
  } catch (const Error& error) {
    note(error_code_name(error.code()), error.what());
    throw;
  } catch (const std::exception& error) {
    note("Internal", error.what());
    throw;
  }
}

}  // namespace mdgen::access
