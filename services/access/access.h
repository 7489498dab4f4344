// What a client needs to talk to a coordinator: which certificate to trust, and the token to show.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace mdgen::access {

// With neither, connections are plain, which coordinators allow on loopback alone.
struct Access {
  std::string trusted;  // PEM certificates; empty: no TLS
  std::string token;    // sent with every call, over TLS only
  // Of one's own, PEM, for a coordinator that asks for one (mutual TLS).
  std::string certificate{};
  std::string key{};

  bool is_plain() const { return trusted.empty() && token.empty() && certificate.empty(); }
};

// Where programs find theirs: files win over MDGEN_TOKEN (the token itself) and MDGEN_CA, MDGEN_CERT,
// MDGEN_KEY (files).
struct Sources {
  std::filesystem::path token_file;          // --token_file
  std::filesystem::path ca_file;             // --ca
  std::filesystem::path certificate_file{};  // --cert
  std::filesystem::path key_file{};          // --key
};

// Throws Error(kInvalidArgument) for a token or certificate of one's own without the server's certificate (it
// would travel in clear text), for a certificate without its key, and for a malformed token, and what
// read_file throws.
Access find_access(const Sources& sources);

// 256 random bits as hexadecimal text. Throws Error(kInternal) when the system has none.
std::string make_token();

// A token that came from a person or a file, without white space around it. Throws Error(kInvalidArgument),
// which names `source` and never the token, unless it has 16 characters or more, all of them printable.
std::string checked_token(std::string_view text, const std::string& source);

// In constant time.
bool same_token(std::string_view a, std::string_view b);

// In a state folder: see tokens.h.
inline constexpr const char* kTokensFile = "tokens.yaml";

// Nobody of the same user may look into this process or have its memory in a core file. For programs that
// hold secrets; what they start is as usual.
void protect_memory();

// Creates or replaces `file`, which nobody but its owner may read from the first moment on. Throws Error that
// names it.
void write_secret(const std::filesystem::path& file, std::string_view text);

}  // namespace mdgen::access
