#include "tests/support/fake_agent.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace mdgen::testing {
namespace {

constexpr int kTrainerDescriptor = 3;

pid_t spawn(const std::string& program, int descriptor, pid_t agent, const std::string& log_file) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_adddup2(&actions, descriptor, kTrainerDescriptor);
  std::string fd = std::to_string(kTrainerDescriptor);
  std::string pid = std::to_string(agent);
  std::string name = program;
  char fd_flag[] = "--agent_fd";
  char pid_flag[] = "--agent_pid";
  char* arguments[] = {name.data(), fd_flag, fd.data(), pid_flag, pid.data(), nullptr};
  pid_t child = -1;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(program + " could not be started");
  return child;
}

}  // namespace

FakeAgent::FakeAgent(const std::string& trainer, v1::Assignment assignment, const std::string& log_file,
                     std::optional<pid_t> claimed_pid, ExchangeHandler exchange)
    : assignment_(std::move(assignment)), exchange_(std::move(exchange)) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair");
  descriptor_ = pair[0];
  ::fcntl(descriptor_, F_SETFL, O_NONBLOCK);
  grpc::ServerBuilder builder;
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  trainer_ = spawn(trainer, pair[1], claimed_pid.value_or(::getpid()), log_file);
  ::close(pair[1]);
  grpc::AddInsecureChannelFromFd(server_.get(), descriptor_);
}

FakeAgent::~FakeAgent() {
  if (!end_) {
    ::kill(trainer_, SIGKILL);
    wait_for_exit();
  }
  server_->Shutdown(std::chrono::system_clock::now());
}

grpc::Status FakeAgent::Run(grpc::ServerContext*,
                            grpc::ServerReaderWriter<v1::AgentOrder, v1::TrainerMessage>* stream) {
  {
    const std::lock_guard lock(mutex_);
    stream_ = stream;
  }
  v1::TrainerMessage message;
  while (stream->Read(&message)) {
    if (message.has_hello()) {
      v1::AgentOrder order;
      *order.mutable_assignment() = assignment_;
      send(order);
    }
    const std::lock_guard lock(mutex_);
    messages_.push_back(message);
    changed_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  stream_ = nullptr;
  changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status FakeAgent::Exchange(grpc::ServerContext* context, const v1::ExchangeRequest* request,
                                 v1::ExchangeResponse* response) {
  if (!exchange_) return {grpc::StatusCode::UNIMPLEMENTED, "one rank has nobody to meet"};
  return exchange_(*request, *response, [context] { return context->IsCancelled(); });
}

void FakeAgent::forget() {
  const std::lock_guard lock(mutex_);
  messages_.clear();
}

bool FakeAgent::wait_for(const std::function<bool(const std::vector<v1::TrainerMessage>&)>& enough) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return enough(messages_); });
}

std::vector<v1::TrainerMessage> FakeAgent::received() {
  const std::lock_guard lock(mutex_);
  return messages_;
}

void FakeAgent::send(const v1::AgentOrder& order) {
  const std::lock_guard lock(mutex_);
  if (stream_ != nullptr) stream_->Write(order);
}

void FakeAgent::hang_up() { ::shutdown(descriptor_, SHUT_RDWR); }

void FakeAgent::signal(int number) const { ::kill(trainer_, number); }

ProcessEnd FakeAgent::wait_for_exit() {
  int status = 0;
  ::waitpid(trainer_, &status, 0);
  end_ = WIFEXITED(status) ? ProcessEnd{true, WEXITSTATUS(status)} : ProcessEnd{false, WTERMSIG(status)};
  return *end_;
}

}  // namespace mdgen::testing
