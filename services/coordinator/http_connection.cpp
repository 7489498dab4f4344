#include "services/coordinator/http_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

namespace mdgen::coordinator {

HttpConnection::HttpConnection(int socket, ssl_ctx_st* tls, std::string peer)
    : begun(std::chrono::steady_clock::now()), moved(begun), socket_(socket), peer_(std::move(peer)) {
  if (tls == nullptr) return;
  ssl_ = ::SSL_new(tls);
  if (ssl_ == nullptr) throw std::bad_alloc();
  ::SSL_set_fd(ssl_, socket);
  ::SSL_set_accept_state(ssl_);
  ::SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

HttpConnection::~HttpConnection() {
  ::SSL_free(ssl_);  // null: nothing
  ::close(socket_);
}

// What a read or a write that gave no bytes means.
HttpConnection::Progress HttpConnection::failed(long result) {
  if (ssl_ == nullptr) {
    const bool later = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    return later ? Progress::kBlocked : Progress::kBroken;
  }
  const int error = ::SSL_get_error(ssl_, static_cast<int>(result));
  ::ERR_clear_error();
  waits_to_write_ = error == SSL_ERROR_WANT_WRITE;
  return waits_to_write_ || error == SSL_ERROR_WANT_READ ? Progress::kBlocked : Progress::kBroken;
}

HttpConnection::Progress HttpConnection::receive(std::size_t most) {
  std::array<char, 16384> chunk{};
  waits_to_write_ = false;
  while (input.size() < most) {
    const std::size_t room = std::min(chunk.size(), most - input.size());
    const long got = ssl_ != nullptr ? ::SSL_read(ssl_, chunk.data(), static_cast<int>(room))
                                     : ::recv(socket_, chunk.data(), room, 0);
    if (got <= 0) return failed(got);
    input.append(chunk.data(), static_cast<std::size_t>(got));
    moved = std::chrono::steady_clock::now();
  }
  return Progress::kDone;
}

HttpConnection::Progress HttpConnection::transmit() {
  constexpr std::size_t kAtOnce = 1U << 20U;
  waits_to_write_ = true;
  while (written_ < output.size()) {
    const std::size_t size = std::min(output.size() - written_, kAtOnce);
    const char* data = output.data() + written_;
    const long put = ssl_ != nullptr ? ::SSL_write(ssl_, data, static_cast<int>(size))
                                     : ::send(socket_, data, size, MSG_NOSIGNAL);
    if (put <= 0) return failed(put);
    written_ += static_cast<std::size_t>(put);
    moved = std::chrono::steady_clock::now();
  }
  waits_to_write_ = false;
  written_ = 0;
  output = {};
  return Progress::kDone;
}

void HttpConnection::end_output() {
  if (ssl_ != nullptr) ::SSL_shutdown(ssl_);
  ::ERR_clear_error();
  ::shutdown(socket_, SHUT_WR);
}

std::string HttpConnection::certificate_name() const {
  if (ssl_ == nullptr || ::SSL_get_verify_result(ssl_) != X509_V_OK) return "";
  X509* certificate = ::SSL_get1_peer_certificate(ssl_);
  if (certificate == nullptr) return "";
  std::array<char, 256> name{};
  const int length = ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName,
                                                 name.data(), static_cast<int>(name.size()));
  ::X509_free(certificate);
  return length > 0 ? std::string(name.data(), static_cast<std::size_t>(length)) : "";
}

}  // namespace mdgen::coordinator
