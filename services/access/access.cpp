#include "services/access/access.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/text.h"
#include "services/access/tls_identity.h"

namespace mdgen::access {
namespace {

constexpr std::size_t kShortestToken = 16;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

[[noreturn]] void fail(const char* what, const std::filesystem::path& file) {
  throw Error(ErrorCode::kUnavailable,
              std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::filesystem::path named(const std::filesystem::path& file, const char* name) {
  return file.empty() ? std::filesystem::path(variable(name)) : file;
}

void read_own_certificate(const Sources& sources, Access& access) {
  const auto certificate = named(sources.certificate_file, "MDGEN_CERT");
  const auto key = named(sources.key_file, "MDGEN_KEY");
  if (certificate.empty() != key.empty())
    throw Error(ErrorCode::kInvalidArgument, "--cert and --key (MDGEN_CERT and MDGEN_KEY) belong together");
  if (certificate.empty()) return;
  if (access.trusted.empty())
    throw Error(ErrorCode::kInvalidArgument,
                "there is a certificate of one's own (--cert), but neither --ca nor MDGEN_CA names the "
                "coordinator's");
  access.certificate = read_file(certificate);
  access.key = read_file(key);
  check_identity({access.certificate, access.key}, certificate.string(), key.string());
}

}  // namespace

Access find_access(const Sources& sources) {
  Access result;
  const std::filesystem::path ca = named(sources.ca_file, "MDGEN_CA");
  if (!ca.empty()) result.trusted = read_file(ca);
  if (!sources.token_file.empty()) {
    result.token = checked_token(read_file(sources.token_file), sources.token_file.string());
  } else if (const std::string token = variable("MDGEN_TOKEN"); !token.empty()) {
    result.token = checked_token(token, "MDGEN_TOKEN");
  }
  if (!result.token.empty() && result.trusted.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "there is a token, but neither --ca nor MDGEN_CA names the coordinator's certificate; a token "
        "is not sent in clear text");
  }
  read_own_certificate(sources, result);
  return result;
}

std::string make_token() {
  std::array<unsigned char, 32> bytes;
  if (::RAND_bytes(bytes.data(), bytes.size()) != 1)
    throw Error(ErrorCode::kInternal, "the system gives no random bytes for a token");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  for (const unsigned char byte : bytes) {
    result += kDigits[byte >> 4];
    result += kDigits[byte & 15];
  }
  return result;
}

std::string checked_token(std::string_view text, const std::string& source) {
  const std::string_view token = trim(text);
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (token.size() < kShortestToken || !printable) {
    throw Error(ErrorCode::kInvalidArgument, source + ": a token has " + std::to_string(kShortestToken) +
                                                 " or more printable characters without spaces");
  }
  return std::string(token);
}

bool same_token(std::string_view a, std::string_view b) {
  const std::string left = sha256_hex(a), right = sha256_hex(b);  // equal lengths, whatever was sent
  return ::CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

void protect_memory() { ::prctl(PR_SET_DUMPABLE, 0); }

void write_secret(const std::filesystem::path& file, std::string_view text) {
  const std::filesystem::path fresh = file.string() + "." + make_short_id();
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail("create", fresh);
  const bool written = write_all(fd, text) && ::fsync(fd) == 0;
  const bool closed = ::close(fd) == 0;
  if (!written || !closed || ::rename(fresh.c_str(), file.c_str()) != 0) {
    const int reason = errno;
    ::unlink(fresh.c_str());
    errno = reason;
    fail("write", file);
  }
}

}  // namespace mdgen::access
