// What a coordinator shows to its clients and asks of them, and where a standing one keeps it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "services/access/access.h"
#include "services/access/tls_identity.h"

namespace mdgen::access {

// Where a standing coordinator's lies.
struct ServerFiles {
  std::filesystem::path certificate;  // PEM, of which clients need a copy, or of its authority
  std::filesystem::path key;
  std::filesystem::path token;     // the one of the admin whose name is "admin"; empty: there is none
  std::filesystem::path tokens{};  // of everybody else, see tokens.h; empty: there is none
  std::filesystem::path
      client_ca{};  // clients must show a certificate of this authority; empty: they need none
};

struct ServerAccess {
  TlsIdentity identity;
  std::string token;          // the admin's; empty: there is none
  ServerFiles files{};        // watched: what changes in them counts at once
  std::string client_ca{};    // PEM
  bool open_metrics = false;  // GET /metrics over HTTP is for everybody

  Access for_clients() const { return {.trusted = identity.certificate, .token = token}; }
};

// Of a run that begins now and takes it along when it ends.
ServerAccess make_server_access(std::chrono::system_clock::time_point now);

// Reads what is named in `files`. What is not is looked for in `state_folder` (tls.crt, tls.key, token,
// tokens.yaml); certificate, key and, without a tokens file, token are made there (the latter two 0600) when
// they are not there yet, so that clients can go on after a restart. Completes `files`. Throws
// Error(kInvalidArgument) for a certificate without its key or the other way round, for a malformed token or
// tokens file, and for an authority that is none.
ServerAccess open_server_access(ServerFiles& files, const std::filesystem::path& state_folder,
                                std::chrono::system_clock::time_point now);

// Certificate, key and authority as the files have them now. Throws as above, and what read_file throws.
struct TlsFiles {
  TlsIdentity identity;
  std::string client_ca;
};
TlsFiles read_tls_files(const ServerFiles& files);

}  // namespace mdgen::access
