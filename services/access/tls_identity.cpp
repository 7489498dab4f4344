#include "services/access/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>

#include "core/base/error.h"

namespace mdgen::access {
namespace {

constexpr std::size_t kShortestSecret = 32;
constexpr long kDay = 24 * 3600;
constexpr long kTenYears = 3650 * kDay;
// Of certificates that every holder of a secret makes alike.
constexpr std::time_t kFixedStart = 1704067200;  // 2024-01-01
constexpr long kFixedYears = 30 * 365 * kDay;
constexpr std::string_view kLabel = "mdgen-launch certificate\n";

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* what) const {
    Free(what);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<&X509_free>>;
using Memory = std::unique_ptr<BIO, Deleter<&BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<&X509_EXTENSION_free>>;

void require(bool good, const char* what) {
  if (!good) throw Error(ErrorCode::kInternal, std::string("OpenSSL: ") + what + " failed");
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

void extend(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "X509_add_ext");
}

struct Shape {
  std::uint64_t serial;
  std::time_t start;
  long seconds;
  const EVP_MD* digest;  // nullptr: the key's own
};

TlsIdentity self_signed(EVP_PKEY* key, const Shape& shape) {
  const Certificate certificate(X509_new());
  X509* const x = certificate.get();
  require(x != nullptr && X509_set_version(x, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), shape.serial) == 1 &&
              ASN1_TIME_adj(X509_getm_notBefore(x), shape.start, 0, 0) != nullptr &&
              ASN1_TIME_adj(X509_getm_notAfter(x), shape.start, 0, shape.seconds) != nullptr &&
              X509_set_pubkey(x, key) == 1,
          "a new certificate");
  X509_NAME* const name = X509_get_subject_name(x);
  const auto* common_name = reinterpret_cast<const unsigned char*>(kPinnedName);
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
              X509_set_issuer_name(x, name) == 1,
          "X509_set_issuer_name");
  extend(x, NID_basic_constraints, "critical,CA:FALSE");
  extend(x, NID_ext_key_usage, "serverAuth");
  extend(x, NID_subject_alt_name, (std::string("DNS:") + kPinnedName).c_str());
  require(X509_sign(x, key, shape.digest) > 0, "X509_sign");
  const Memory certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(certificate_text.get(), x) == 1 &&
              PEM_write_bio_PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "writing PEM");
  return {text_of(certificate_text.get()), text_of(key_text.get())};
}

Certificate next_certificate(BIO* text, const std::string& source) {
  Certificate certificate(PEM_read_bio_X509(text, nullptr, nullptr, nullptr));
  ERR_clear_error();  // this thread's next use of OpenSSL must not find it
  if (!certificate) throw Error(ErrorCode::kInvalidArgument, source + " holds no PEM certificate");
  return certificate;
}

Certificate first_certificate(const std::string& pem, const std::string& source) {
  const Memory text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return next_certificate(text.get(), source);
}

}  // namespace

TlsIdentity make_identity(std::chrono::system_clock::time_point now) {
  const Key key(EVP_EC_gen("P-256"));
  std::uint64_t serial = 0;
  require(key && ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1, "a new key");
  const std::time_t yesterday = std::chrono::system_clock::to_time_t(now) - kDay;
  return self_signed(key.get(), {serial >> 1, yesterday, kTenYears, EVP_sha256()});
}

TlsIdentity identity_from_secret(std::string_view secret) {
  if (secret.size() < kShortestSecret) {
    throw Error(ErrorCode::kInvalidArgument, "MDGEN_TOKEN must have " + std::to_string(kShortestSecret) +
                                                 " or more characters here, for a certificate is made of it; "
                                                 "`openssl rand -hex 32` gives one");
  }
  const std::string seed = std::string(kLabel) + std::string(secret);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> raw;
  ::SHA256(reinterpret_cast<const unsigned char*>(seed.data()), seed.size(), raw.data());
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()));
  require(key != nullptr, "EVP_PKEY_new_raw_private_key");
  return self_signed(key.get(), {1, kFixedStart, kFixedYears, nullptr});
}

bool is_pinned(const std::string& pem, const std::string& source) {
  const Memory text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Certificate first = next_certificate(text.get(), source);
  const Certificate second(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return !second && X509_check_ca(first.get()) == 0 &&
         X509_check_host(first.get(), kPinnedName, 0, 0, nullptr) == 1;
}

void check_identity(const TlsIdentity& identity, const std::string& certificate_source,
                    const std::string& key_source) {
  const Certificate certificate = first_certificate(identity.certificate, certificate_source);
  const Memory text(BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size())));
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const Key key(PEM_read_bio_PrivateKey(text.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!key)
    throw Error(ErrorCode::kInvalidArgument, key_source + " holds no PEM private key (without a password)");
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    throw Error(ErrorCode::kInvalidArgument,
                key_source + " is not the private key of the certificate in " + certificate_source);
}

std::chrono::system_clock::time_point end_of(const std::string& pem, const std::string& source) {
  const Certificate certificate = first_certificate(pem, source);
  std::tm parts{};
  require(ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) == 1, "ASN1_TIME_to_tm");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace mdgen::access
