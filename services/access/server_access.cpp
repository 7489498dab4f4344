#include "services/access/server_access.h"

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::access {
namespace {

// The key first: who finds the certificate finds its key, too.
TlsIdentity kept_identity(ServerFiles& files, const std::filesystem::path& state_folder,
                          std::chrono::system_clock::time_point now) {
  if (files.certificate.empty() != files.key.empty())
    throw Error(ErrorCode::kInvalidArgument, "--tls_cert and --tls_key belong together");
  if (files.certificate.empty()) {
    files.certificate = state_folder / "tls.crt";
    files.key = state_folder / "tls.key";
    if (!std::filesystem::exists(files.certificate)) {
      const TlsIdentity made = make_identity(now);
      write_secret(files.key, made.key);
      replace_file(files.certificate, made.certificate);
    }
  }
  TlsIdentity identity{read_file(files.certificate), read_file(files.key)};
  is_pinned(identity.certificate, files.certificate.string());
  return identity;
}

std::string kept_token(ServerFiles& files, const std::filesystem::path& state_folder) {
  if (files.token.empty()) {
    files.token = state_folder / "token";
    if (!std::filesystem::exists(files.token)) write_secret(files.token, make_token() + "\n");
  }
  return checked_token(read_file(files.token), files.token.string());
}

}  // namespace

ServerAccess make_server_access(std::chrono::system_clock::time_point now) {
  return {make_identity(now), make_token()};
}

ServerAccess open_server_access(ServerFiles& files, const std::filesystem::path& state_folder,
                                std::chrono::system_clock::time_point now) {
  std::filesystem::create_directories(state_folder);
  ServerAccess result;
  result.identity = kept_identity(files, state_folder, now);
  result.token = kept_token(files, state_folder);
  return result;
}

}  // namespace mdgen::access
