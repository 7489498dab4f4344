#include "core/bench/rank_processes.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace mdgen::bench {
namespace {

enum class Kind : std::uint8_t { kExchange, kResult, kError };

struct Message {
  Kind kind = Kind::kError;
  ErrorCode code = ErrorCode::kInternal;  // of kError
  std::string text;
};

struct Header {
  Kind kind;
  ErrorCode code;
  std::uint64_t bytes;
};

Error lost(const char* what) { return {ErrorCode::kUnavailable, std::string(what) + std::strerror(errno)}; }

void send_all(int socket, const void* data, std::size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = ::send(socket, from, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) throw lost("cannot send to a rank's process: ");
    from += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
}

void receive_all(int socket, void* data, std::size_t bytes) {
  auto* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::recv(socket, to, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw lost("cannot receive from a rank's process: ");
    if (got == 0) throw Error(ErrorCode::kUnavailable, "the process has ended");
    to += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

void send(int socket, const Message& message) {
  const Header header{message.kind, message.code, message.text.size()};
  send_all(socket, &header, sizeof header);
  send_all(socket, message.text.data(), message.text.size());
}

Message receive(int socket) {
  Header header{};
  receive_all(socket, &header, sizeof header);
  Message message{header.kind, header.code, std::string(header.bytes, '\0')};
  receive_all(socket, message.text.data(), message.text.size());
  return message;
}

[[noreturn]] void be_rank(int rank, int ranks, int socket, const RankWork& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_IGN);
  const comm::Exchange exchange = [&](const std::string&, const std::string& blob) {
    send(socket, {.kind = Kind::kExchange, .text = blob});
    std::vector<std::string> blobs;
    for (int other = 0; other < ranks; ++other) blobs.push_back(receive(socket).text);
    return blobs;
  };
  Message message;
  try {
    message = {.kind = Kind::kResult, .text = work(rank, exchange)};
  } catch (const Error& error) {
    message = {.kind = Kind::kError, .code = error.code(), .text = error.what()};
  } catch (const std::exception& error) {
    message.text = error.what();
  }
  try {
    send(socket, message);
  } catch (const Error&) {
    ::_exit(1);
  }
  ::_exit(0);
}

class RankProcess {
 public:
  RankProcess(int rank, int ranks, const RankWork& work) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw lost("cannot make a socket for a rank's process: ");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      be_rank(rank, ranks, ends[1], work);
    }
    ::close(ends[1]);
    socket_ = ends[0];
    if (pid_ > 0) return;
    ::close(socket_);
    throw lost("cannot fork a rank's process: ");
  }
  RankProcess(RankProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), socket_(std::exchange(other.socket_, -1)) {}
  RankProcess& operator=(RankProcess&&) = delete;
  ~RankProcess() {
    if (pid_ < 0) return;
    ::close(socket_);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  int socket() const { return socket_; }

 private:
  pid_t pid_ = -1;
  int socket_ = -1;
};

Message next_of(const RankProcess& process, std::size_t rank) {
  const std::string who = "rank " + std::to_string(rank) + ": ";
  Message message;
  try {
    message = receive(process.socket());
  } catch (const Error& error) {
    throw Error(error.code(), who + error.what());
  }
  if (message.kind == Kind::kError) throw Error(message.code, who + message.text);
  return message;
}

}  // namespace

std::vector<std::string> run_ranks(int ranks, const RankWork& work) {
  std::vector<RankProcess> processes;
  for (int rank = 0; rank < ranks; ++rank) processes.emplace_back(rank, ranks, work);
  while (true) {
    std::vector<Message> messages;
    for (std::size_t rank = 0; rank < processes.size(); ++rank)
      messages.push_back(next_of(processes[rank], rank));
    if (messages.front().kind == Kind::kResult) {
      std::vector<std::string> results;
      for (Message& message : messages) results.push_back(std::move(message.text));
      return results;
    }
    for (const RankProcess& process : processes)
      for (const Message& message : messages) send(process.socket(), message);
  }
}

}  // namespace mdgen::bench
