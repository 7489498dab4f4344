// Who has which role: the tokens file.
//
//   tokens:
//     - {name: alice, role: submitter, sha256: 9f86d081…, expires: 2027-01-31T00:00:00Z}
//     - {name: node1, role: worker, certificate: node1.example.org}
//
// Tokens are 256 random bits, so their plain SHA-256 tells nobody anything: there is no dictionary to try,
// and nothing slower is needed. `certificate` is the common name of a client's certificate (mutual TLS).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/access/caller.h"

namespace mdgen::access {

using Moment = std::chrono::system_clock::time_point;

// A token, or a certificate. A name may have several, of one role: while a token is replaced both are good.
struct TokenEntry {
  std::string name;
  Role role = Role::kViewer;
  std::string sha256{};       // of the token, as hexadecimal text; empty: a certificate's
  std::string certificate{};  // its common name
  std::optional<Moment> expires{};

  // What a person calls it: the digest's first eight digits, or the certificate's name.
  std::string id() const { return sha256.empty() ? certificate : sha256.substr(0, 8); }
  bool is_expired(Moment now) const { return expires && now >= *expires; }
};

class TokenTable {
 public:
  // Throws Error(kInvalidArgument), which names `source` and the entry.
  static TokenTable from_yaml(const std::string& text, const std::string& source);
  std::string to_yaml() const;

  // Throws Error: kInvalidArgument for a name or digest that is none, kAlreadyExists when the name has
  // another role, or the token or certificate is another's.
  void add(TokenEntry entry);
  // All entries of a name, or the one with an id. Returns how many there were.
  int remove(const std::string& name_or_id);

  // Looks at every entry, whatever it finds, and compares in constant time. Expired ones are found, too.
  const TokenEntry* find_token(std::string_view token) const;
  const TokenEntry* find_certificate(std::string_view common_name) const;
  const std::vector<TokenEntry>& entries() const { return entries_; }

 private:
  std::vector<TokenEntry> entries_;
};

// "2027-01-31T00:00:00Z". Throws Error(kInvalidArgument) for anything else but a day alone, or, counted from
// `now`, "90d" or "12h".
Moment parse_moment(const std::string& text, Moment now);

// Throws Error: kInvalidArgument naming it and what is wrong, also when others than its owner may write it;
// kNotFound.
TokenTable read_tokens(const std::filesystem::path& file);
// Changes the file, which need not be there, under a lock; it is replaced whole, and its owner's alone.
// Throws what `change` throws.
void change_tokens(const std::filesystem::path& file, const std::function<void(TokenTable&)>& change);

}  // namespace mdgen::access
