#include "services/coordinator/http_access.h"

#include <httplib.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "core/base/text.h"
#include "services/access/methods.h"
#include "services/coordinator/http_reply.h"

namespace mdgen::coordinator {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "[::1]:80" -> "::1"
std::string host_of(const std::string& authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

bool is_loopback_name(const std::string& host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

// `shown` keeps what the attempt refers to.
access::Attempt attempt_of(const httplib::Request& request, std::optional<std::string>& shown) {
  access::Attempt attempt{.authorization = std::nullopt, .certificate = "", .peer = request.remote_addr};
  if (request.has_header("Authorization")) {
    shown = request.get_header_value("Authorization");
    attempt.authorization = *shown;
  }
  if (const auto name = request.headers.find(kCertificateHeader); name != request.headers.end())
    attempt.certificate = name->second;
  return attempt;
}

}  // namespace

access::Caller HttpAccess::admit(const httplib::Request& request, const std::string& method,
                                 bool changes) const {
  if (gate_ == nullptr) check_host(request);
  if (changes) check_origin(request);
  if (gate_ == nullptr) {
    if (changes && !is_loopback(bound_))
      throw HttpError(403, "PermissionDenied",
                      "without access control nothing can be changed here but on a loopback address");
    return {.name = "", .role = access::Role::kAdmin, .peer = request.remote_addr};
  }
  const access::Need route_need = gate_->http_need(method, request.path);
  if (route_need == access::Need::kNothing)
    return {.name = "", .role = access::Role::kViewer, .peer = request.remote_addr};
  const std::string what = request.method + " " + to_utf8(request.path);
  std::optional<std::string> shown;
  const access::Need need = changes ? access::Need::kKnown : route_need;
  access::Verdict verdict = gate_->admit(attempt_of(request, shown), what, need, changes);
  if (verdict.is_admitted()) return std::move(verdict.caller);
  const bool is_unknown = verdict.kind == access::Verdict::Kind::kUnauthenticated;
  throw HttpError(is_unknown ? 401 : 403, is_unknown ? "Unauthenticated" : "PermissionDenied", verdict.text);
}

access::Verdict HttpAccess::identify(const httplib::Request& request) const {
  std::optional<std::string> shown;
  return gate_->identify(attempt_of(request, shown));
}

// On loopback nobody but this machine's programs comes in, and they know it as localhost.
void HttpAccess::check_host(const httplib::Request& request) const {
  if (!is_loopback(bound_) || !request.has_header("Host")) return;
  const std::string named = request.get_header_value("Host");
  const std::string host = lower(host_of(named));
  if (is_loopback_name(host) || host == lower(bound_.host)) return;
  throw HttpError(
      403, "PermissionDenied",
      "Host: \"" + to_utf8(named) + "\" is not this server; it is " + bound_.host + " or localhost");
}

void HttpAccess::check_origin(const httplib::Request& request) const {
  const std::string site = request.get_header_value("Sec-Fetch-Site");
  const std::string origin = request.get_header_value("Origin");
  const auto scheme_end = origin.find("://");
  const bool same =
      origin.empty() || (scheme_end != std::string::npos &&
                         lower(origin.substr(scheme_end + 3)) == lower(request.get_header_value("Host")));
  if (same && (site.empty() || site == "same-origin" || site == "none")) return;
  throw HttpError(403, "PermissionDenied",
                  "Origin: pages of other sites (\"" + to_utf8(origin) + "\") may change nothing here");
}

}  // namespace mdgen::coordinator
