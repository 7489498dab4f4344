#include "services/access/gate.h"

#include <sys/stat.h>

#include <utility>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/utc.h"

namespace mdgen::access {
namespace {

constexpr std::string_view kScheme = "Bearer ";
constexpr std::chrono::seconds kBetweenRefusals{1};
constexpr std::chrono::hours kBetweenWarnings{24};
constexpr std::chrono::hours kSoon{14 * 24};

// Another text for another content: what rename, cp and an editor change.
std::string stamp_of(const std::filesystem::path& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) return "none";
  return fmt::format("{} {} {} {}.{} {}.{}", facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtim.tv_sec,
                     facts.st_mtim.tv_nsec, facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec);
}

Verdict refused(std::string text) {
  return {Verdict::Kind::kUnauthenticated, {"", Role::kViewer}, std::move(text)};
}

Verdict known(const TokenEntry& entry, const Attempt& attempt, Moment now) {
  if (entry.is_expired(now)) {
    return refused("the " + std::string(entry.sha256.empty() ? "certificate" : "token") + " of " +
                   entry.name + " has expired (" + utc_text(*entry.expires) + ")");
  }
  return {Verdict::Kind::kAdmitted, {entry.name, entry.role, std::string(attempt.peer)}, ""};
}

// The admin's token and the tokens file as one table.
TokenTable whole_table(const std::string& admin_token, const std::filesystem::path& file) {
  TokenTable table;
  if (!file.empty() && std::filesystem::exists(file)) table = read_tokens(file);
  if (admin_token.empty()) return table;
  const std::string digest = sha256_hex(admin_token);
  for (const TokenEntry& one : table.entries())
    if (one.sha256 == digest) return table;
  table.add({.name = "admin", .role = Role::kAdmin, .sha256 = digest});
  return table;
}

}  // namespace

Gate::Gate(ServerAccess access, const Clock& clock, std::shared_ptr<AuditLog> audit)
    : access_(std::move(access)),
      clock_(clock),
      audit_(std::move(audit)),
      tokens_(std::make_shared<const TokenTable>(whole_table(access_.token, access_.files.tokens))),
      tls_(std::make_shared<const TlsState>(TlsState{access_.identity, access_.client_ca})) {
  const ServerFiles& files = access_.files;
  for (const auto& file : {files.certificate, files.key, files.client_ca, files.token, files.tokens})
    has_changed(file);
  warn_of_expiry();
}

Verdict Gate::identify(const Attempt& attempt) const {
  std::shared_ptr<const TokenTable> tokens;
  {
    const std::lock_guard lock(mutex_);
    tokens = tokens_;
  }
  if (attempt.authorization) {
    const TokenEntry* found = nullptr;
    if (attempt.authorization->starts_with(kScheme))
      found = tokens->find_token(attempt.authorization->substr(kScheme.size()));
    if (found == nullptr) return refused("the token is not this coordinator's");
    return known(*found, attempt, clock_.wall());
  }
  if (const TokenEntry* found = tokens->find_certificate(attempt.certificate))
    return known(*found, attempt, clock_.wall());
  if (!attempt.certificate.empty()) {
    return refused(
        "the certificate's name \"" + std::string(attempt.certificate) +
        "\" is not in this coordinator's tokens file, and there is no token: set MDGEN_TOKEN or give "
        "--token_file");
  }
  return refused("this coordinator needs a token: set MDGEN_TOKEN or give --token_file");
}

Verdict Gate::admit(const Attempt& attempt, std::string_view what, Need need, bool changes) {
  if (need == Need::kNothing) return {};
  Verdict verdict = identify(attempt);
  if (verdict.is_admitted() && suffices(verdict.caller.role, need)) return verdict;
  if (verdict.is_admitted()) {
    verdict.kind = Verdict::Kind::kDenied;
    verdict.text = std::string(what) + " needs the role " + need_text(need) + "; " + verdict.caller.name +
                   " is a " + role_name(verdict.caller.role);
  }
  verdict.caller.peer = attempt.peer;
  tell_refusal(verdict, what, changes);
  return verdict;
}

Need Gate::http_need(std::string_view method, std::string_view path) const {
  const HttpRoute route = http_route(method, path);
  return access_.open_metrics && route.path == "/metrics" && route.method == "GET" ? Need::kNothing
                                                                                   : route.need;
}

// Strangers must not be able to fill the disk with lines.
void Gate::tell_refusal(const Verdict& verdict, std::string_view what, bool changes) {
  const bool denied = verdict.kind == Verdict::Kind::kDenied;
  int untold = 0;
  bool told = false;
  {
    const std::lock_guard lock(refusals_mutex_);
    const Clock::Steady now = clock_.steady();
    told = !refusal_told_ || now - *refusal_told_ >= kBetweenRefusals;
    if (told) {
      refusal_told_ = now;
      untold = std::exchange(untold_, 0);
    } else {
      ++untold_;
    }
  }
  if (told) {
    spdlog::warn("refused: {} from {}: {}{}", what, verdict.caller.peer, verdict.text,
                 untold > 0 ? fmt::format(" ({} others since the last such line)", untold) : "");
  }
  if (!changes || audit_ == nullptr || (!told && !denied)) return;
  audit_->write({.caller = verdict.caller,
                 .method = std::string(what),
                 .job = "",
                 .code = denied ? "PermissionDenied" : "Unauthenticated",
                 .request = "",
                 .message = verdict.text});
}

std::shared_ptr<const TlsState> Gate::tls() const {
  const std::lock_guard lock(mutex_);
  return tls_;
}

bool Gate::has_changed(const std::filesystem::path& file) {
  if (file.empty()) return false;
  const std::string stamp = stamp_of(file);
  return std::exchange(stamps_[file], stamp) != stamp;
}

void Gate::refresh() {
  const std::lock_guard lock(refresh_mutex_);
  const ServerFiles& files = access_.files;
  const bool token = has_changed(files.token), tokens = has_changed(files.tokens);
  const bool certificate = has_changed(files.certificate), key = has_changed(files.key),
             authority = has_changed(files.client_ca);
  if (token || tokens) take_tokens();
  if (certificate || key || authority) take_tls();
  warn_of_expiry();
}

void Gate::take_tokens() {
  const ServerFiles& files = access_.files;
  try {
    const std::string admin =
        files.token.empty() ? access_.token : checked_token(read_file(files.token), files.token.string());
    auto table = std::make_shared<const TokenTable>(whole_table(admin, files.tokens));
    spdlog::info("tokens are taken up anew: {}", table->entries().size());
    const std::lock_guard lock(mutex_);
    tokens_ = std::move(table);
  } catch (const Error& error) {
    spdlog::error("the tokens stay as they were: {}", error.what());
  }
}

// While one of both files is new and the other is not yet, they do not fit, and nothing is taken.
void Gate::take_tls() {
  try {
    TlsFiles read = read_tls_files(access_.files);
    auto state =
        std::make_shared<const TlsState>(TlsState{std::move(read.identity), std::move(read.client_ca)});
    spdlog::info("new connections get the certificate in {}, good until {}",
                 access_.files.certificate.string(), utc_text(end_of(state->identity.certificate, "")));
    expiry_told_.reset();
    const std::lock_guard lock(mutex_);
    tls_ = std::move(state);
  } catch (const Error& error) {
    spdlog::error("the certificate stays as it was: {}", error.what());
  }
}

void Gate::warn_of_expiry() {
  const Clock::Steady now = clock_.steady();
  if (expiry_told_ && now - *expiry_told_ < kBetweenWarnings) return;
  expiry_told_ = now;
  const Moment end = end_of(tls()->identity.certificate, access_.files.certificate.string());
  if (end - clock_.wall() > kSoon) return;
  spdlog::warn("the TLS certificate {} is good until {} only: put another one in its place, with its key",
               access_.files.certificate.string(), utc_text(end));
}

}  // namespace mdgen::access
