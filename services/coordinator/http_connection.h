// One client's connection to the HTTP server: its socket, never blocking, plain or TLS, and what has come and
// what is to go. Not thread-safe: the listener's thread has it, but for `answering`.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

struct ssl_st;
struct ssl_ctx_st;

namespace mdgen::coordinator {

class HttpConnection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class Phase {
    kReading,    // a request, or the wait for the next
    kAnswering,  // a handler has the request
    kWriting,
    kLeaving,  // its last answer has gone out; what it still sends is thrown away
  };
  enum class Progress {
    kBlocked,  // nothing more at the moment
    kDone,
    kBroken,  // the connection has ended
  };

  // Takes over `socket`. `tls` null: plain.
  HttpConnection(int socket, ssl_ctx_st* tls, std::string peer);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Reads what has come, at most up to `most` bytes held. kDone: so much is held.
  Progress receive(std::size_t most);
  // Writes `output`. kDone: all of it is on its way.
  Progress transmit();

  // Tells the client that nothing more will come.
  void end_output();

  int socket() const { return socket_; }
  const std::string& peer() const { return peer_; }
  // The subject's common name of the certificate that the client has shown and TLS has verified; else empty.
  std::string certificate_name() const;
  std::size_t held_bytes() const { return input.capacity() + output.capacity() - written_; }
  bool waits_to_write() const { return waits_to_write_; }

  Phase phase = Phase::kReading;
  std::string input;
  std::string output;
  bool close_after = false;  // what is being written
  bool dead = false;         // the client has gone while its request was answered
  bool continued = false;    // it was told to send the body
  Time begun{};              // of the phase
  Time moved{};              // when bytes came or went

 private:
  Progress failed(long result);

  const int socket_;
  const std::string peer_;
  ssl_st* ssl_ = nullptr;
  std::size_t written_ = 0;
  bool waits_to_write_ = false;
};

}  // namespace mdgen::coordinator
