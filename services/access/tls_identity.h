// A server's certificate with its private key.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace mdgen::access {

struct TlsIdentity {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

// The only name in the certificates below. Clients trust the certificate itself, wherever its server listens.
inline constexpr const char* kPinnedName = "mdgen-coordinator";

// A fresh self-signed P-256 certificate, valid from the day before `now`, for clocks that differ, and for ten
// years: it ends with whoever holds its key. Throws Error(kInternal).
TlsIdentity make_identity(std::chrono::system_clock::time_point now);

// The same Ed25519 certificate, bit for bit, for each holder of `secret`, so that it need not be handed over:
// for ranks that know nothing but an address and a token of at least 32 characters. Who can guess the secret
// can play the server. Throws Error(kInvalidArgument) for a shorter secret.
TlsIdentity identity_from_secret(std::string_view secret);

// True when `pem` is one certificate that signs no others: it is trusted itself, and its name means nothing.
// Throws Error(kInvalidArgument), naming `source`, when there is no certificate in it.
bool is_pinned(const std::string& pem, const std::string& source);

// Throws Error(kInvalidArgument), naming the file, when one of both is no PEM, or the key is another's.
void check_identity(const TlsIdentity& identity, const std::string& certificate_source,
                    const std::string& key_source);

// Until when the (first) certificate is good. Throws as is_pinned.
std::chrono::system_clock::time_point end_of(const std::string& pem, const std::string& source);

}  // namespace mdgen::access
