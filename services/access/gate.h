// Who comes in. Knows tokens and certificates, and takes them up anew when their files have changed.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "services/access/audit_log.h"
#include "services/access/methods.h"
#include "services/access/server_access.h"
#include "services/access/tokens.h"

namespace mdgen::access {

// What a call brings along.
struct Attempt {
  std::optional<std::string_view> authorization;  // the header's value: "Bearer …"
  std::string_view certificate;                   // the verified client certificate's common name, if any
  std::string_view peer;
};

struct Verdict {
  enum class Kind { kAdmitted, kUnauthenticated, kDenied };
  Kind kind = Kind::kAdmitted;
  Caller caller;
  std::string text;  // why not; never has what was sent

  bool is_admitted() const { return kind == Kind::kAdmitted; }
};

// What is shown to, and asked of, new connections.
struct TlsState {
  TlsIdentity identity;
  std::string client_ca;  // PEM; empty: clients need no certificate
};

// Thread-safe.
class Gate {
 public:
  // `audit` may be null. Throws what reading the tokens file throws.
  Gate(ServerAccess access, const Clock& clock, std::shared_ptr<AuditLog> audit);

  // A token wins over a certificate.
  Verdict identify(const Attempt& attempt) const;
  // identify, and whether the role suffices for `what`. A refusal is logged, at most once a second with the
  // number of those that were not; when `what` is a change it goes to the audit log as well.
  Verdict admit(const Attempt& attempt, std::string_view what, Need need, bool changes);

  // Of an HTTP request, by the table of routes.
  Need http_need(std::string_view method, std::string_view path) const;

  // The same object until it changes.
  std::shared_ptr<const TlsState> tls() const;
  // Fixed for good: whether connections need a client's certificate at all.
  bool asks_for_certificates() const {
    return !access_.files.client_ca.empty() || !access_.client_ca.empty();
  }

  // Reads the files that have changed since the last time; what is wrong in them is logged, and what was
  // before stays.
  void refresh();

 private:
  using Stamps = std::map<std::filesystem::path, std::string>;
  bool has_changed(const std::filesystem::path& file);
  void take_tokens();
  void take_tls();
  void warn_of_expiry();
  void tell_refusal(const Verdict& verdict, std::string_view what, bool changes);

  const ServerAccess access_;
  const Clock& clock_;
  const std::shared_ptr<AuditLog> audit_;

  mutable std::mutex mutex_;  // over what is handed out
  std::shared_ptr<const TokenTable> tokens_;
  std::shared_ptr<const TlsState> tls_;

  std::mutex refresh_mutex_;
  Stamps stamps_;
  std::optional<Clock::Steady> expiry_told_;

  std::mutex refusals_mutex_;
  std::optional<Clock::Steady> refusal_told_;
  int untold_ = 0;
};

}  // namespace mdgen::access
