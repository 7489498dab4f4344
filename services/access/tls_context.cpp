#include "services/access/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <utility>

#include "core/base/error.h"

namespace mdgen::access {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* what) const {
    Free(what);
  }
};
using Memory = std::unique_ptr<BIO, Deleter<&BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<&X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;

Memory memory_of(const std::string& text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate next_certificate(const Memory& text) {
  return Certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
}

bool show(SSL_CTX* context, const TlsIdentity& identity) {
  const Memory certificates = memory_of(identity.certificate), key_text = memory_of(identity.key);
  const Certificate own = next_certificate(certificates);
  const Key key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!own || !key || SSL_CTX_use_certificate(context, own.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return false;
  while (const Certificate above = next_certificate(certificates))
    if (SSL_CTX_add1_chain_cert(context, above.get()) != 1) return false;
  return true;
}

bool ask_for_certificates(SSL_CTX* context, const std::string& authority) {
  const Memory certificates = memory_of(authority);
  while (const Certificate one = next_certificate(certificates)) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()) != 1 ||
        SSL_CTX_add_client_CA(context, one.get()) != 1)
      return false;
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return true;
}

std::shared_ptr<SSL_CTX> make_context(const TlsState& state) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  bool good = context != nullptr && SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1;
  if (good) {
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    good = show(context.get(), state.identity) &&
           (state.client_ca.empty() || ask_for_certificates(context.get(), state.client_ca));
  }
  ERR_clear_error();  // of the ends of the texts, too
  if (!good)
    throw Error(ErrorCode::kInternal, "OpenSSL does not take the certificate, its key or the authority");
  return context;
}

}  // namespace

std::function<std::shared_ptr<ssl_ctx_st>()> tls_contexts(std::shared_ptr<const Gate> gate) {
  struct Made {
    std::shared_ptr<const TlsState> state;
    std::shared_ptr<SSL_CTX> context;
  };
  return [gate = std::move(gate), made = std::make_shared<Made>()]() -> std::shared_ptr<ssl_ctx_st> {
    std::shared_ptr<const TlsState> now = gate->tls();
    if (now != made->state) {
      made->context = make_context(*now);
      made->state = std::move(now);
    }
    return made->context;
  };
}

}  // namespace mdgen::access
