// Whether an HTTP request may be served, and whose it is.
#pragma once

#include <memory>
#include <string>

#include "services/access/caller.h"
#include "services/access/gate.h"
#include "services/coordinator/address.h"

namespace httplib {
struct Request;
}

namespace mdgen::coordinator {

// The name in the client's certificate travels with a request under this name; what a client sends under it
// is taken away before.
inline constexpr const char* kCertificateHeader = "X-Mdgen-Certificate-Name";

class HttpAccess {
 public:
  // `bound`: where the server listens. `gate` null: there is no access control.
  HttpAccess(HostPort bound, std::shared_ptr<access::Gate> gate)
      : bound_(std::move(bound)), gate_(std::move(gate)) {}

  // Who calls. Throws HttpError: 403 when a browser sends a change from a page of another site, or thinks
  // that this machine has another name (DNS rebinding); with access control 401 or 403 as the gate says (the
  // role for a change is left to access::carry_out); without it 403 for changes when others than this
  // machine's can come in. `method`: as which the request is judged; one that its path does not take as GET.
  access::Caller admit(const httplib::Request& request, const std::string& method, bool changes) const;

  bool is_required() const { return gate_ != nullptr; }
  // The caller if the gate knows them, whatever they may do.
  access::Verdict identify(const httplib::Request& request) const;

 private:
  void check_host(const httplib::Request& request) const;
  void check_origin(const httplib::Request& request) const;

  HostPort bound_;
  std::shared_ptr<access::Gate> gate_;
};

}  // namespace mdgen::coordinator
