#include "services/access/server_access.h"

#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "services/access/tokens.h"

namespace mdgen::access {
namespace {

namespace fs = std::filesystem;

void warn_if_readable(const fs::path& secret) {
  struct stat facts {};
  if (::stat(secret.c_str(), &facts) != 0 || (facts.st_mode & (S_IRGRP | S_IROTH)) == 0) return;
  spdlog::warn("{} is a secret, and others than its owner may read it; chmod 600 it", secret.string());
}

// The key first: who finds the certificate finds its key, too.
void keep_identity(ServerFiles& files, const fs::path& state_folder,
                   std::chrono::system_clock::time_point now) {
  if (files.certificate.empty() != files.key.empty())
    throw Error(ErrorCode::kInvalidArgument, "--tls_cert and --tls_key belong together");
  if (!files.certificate.empty()) return;
  files.certificate = state_folder / "tls.crt";
  files.key = state_folder / "tls.key";
  if (fs::exists(files.certificate)) return;
  const TlsIdentity made = make_identity(now);
  write_secret(files.key, made.key);
  replace_file(files.certificate, made.certificate);
}

// Whoever keeps a tokens file has given the admin's name away already.
void keep_tokens(ServerFiles& files, const fs::path& state_folder) {
  const bool tokens_named = !files.tokens.empty();
  if (!tokens_named) files.tokens = state_folder / kTokensFile;
  if (!files.token.empty()) return;
  const fs::path token = state_folder / "token";
  if (fs::exists(token)) {
    files.token = token;
  } else if (!tokens_named && !fs::exists(files.tokens)) {
    files.token = token;
    write_secret(token, make_token() + "\n");
  }
}

}  // namespace

ServerAccess make_server_access(std::chrono::system_clock::time_point now) {
  return {make_identity(now), make_token()};
}

TlsFiles read_tls_files(const ServerFiles& files) {
  TlsFiles read{{read_file(files.certificate), read_file(files.key)}, {}};
  check_identity(read.identity, files.certificate.string(), files.key.string());
  if (!files.client_ca.empty()) {
    read.client_ca = read_file(files.client_ca);
    is_pinned(read.client_ca, files.client_ca.string());
  }
  return read;
}

ServerAccess open_server_access(ServerFiles& files, const fs::path& state_folder,
                                std::chrono::system_clock::time_point now) {
  fs::create_directories(state_folder);
  keep_identity(files, state_folder, now);
  keep_tokens(files, state_folder);
  ServerAccess result;
  TlsFiles tls = read_tls_files(files);
  result.identity = std::move(tls.identity);
  result.client_ca = std::move(tls.client_ca);
  if (!files.token.empty()) {
    result.token = checked_token(read_file(files.token), files.token.string());
    warn_if_readable(files.token);
  }
  warn_if_readable(files.key);
  if (fs::exists(files.tokens) || files.token.empty()) read_tokens(files.tokens);
  result.files = files;
  return result;
}

}  // namespace mdgen::access
