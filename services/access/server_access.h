// What a coordinator shows to its clients and asks of them, and where a standing one keeps it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "services/access/access.h"
#include "services/access/tls_identity.h"

namespace mdgen::access {

struct ServerAccess {
  TlsIdentity identity;
  std::string token;

  Access for_clients() const { return {identity.certificate, token}; }
};

// Of a run that begins now and takes it along when it ends.
ServerAccess make_server_access(std::chrono::system_clock::time_point now);

// Where a standing coordinator's lies; an empty path: in its state folder.
struct ServerFiles {
  std::filesystem::path certificate;  // PEM, of which clients need a copy, or of its authority
  std::filesystem::path key;
  std::filesystem::path token;
};

// Reads what is named in `files`, and makes in `state_folder` (tls.crt, tls.key, token; the latter two 0600)
// what is not and is not there yet, so that clients can go on after a restart. Completes `files`. Throws
// Error(kInvalidArgument) for a certificate without a key or the other way round, and for a malformed token.
ServerAccess open_server_access(ServerFiles& files, const std::filesystem::path& state_folder,
                                std::chrono::system_clock::time_point now);

}  // namespace mdgen::access
