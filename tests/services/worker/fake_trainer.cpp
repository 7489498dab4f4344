// A trainer without LibTorch, for the agent's tests: does what the assignment's spec.name says.
#include <dirent.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "mdgen/v1/trainer_service.grpc.pb.h"

namespace {

namespace v1 = mdgen::v1;

// What the agent gave this process.
std::string describe_process(int agent_pid) {
  nlohmann::json facts;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path(), error).string();
    if (!error && target.find("/proc/") == std::string::npos)
      facts["descriptors"][entry.path().filename()] = target;
  }
  for (char** one = ::environ; *one != nullptr; ++one) facts["environment"].push_back(*one);
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) facts[line.substr(0, 6)] = line.substr(8);
  }
  facts["leads_session"] = ::getsid(0) == ::getpid();
  facts["child_of_agent"] = ::getppid() == agent_pid;
  return facts.dump();
}

class Trainer {
 public:
  explicit Trainer(int fd)
      : stub_(v1::TrainerService::NewStub(grpc::CreateInsecureChannelFromFd("agent", fd))) {
    stream_ = stub_->Run(&context_);
    v1::TrainerMessage hello;
    hello.mutable_hello()->set_pid(::getpid());
    hello.mutable_hello()->set_version(MDGEN_VERSION);
    stream_->Write(hello);
  }

  v1::AgentOrder order() {
    v1::AgentOrder order;
    if (!stream_->Read(&order)) std::_Exit(9);  // the agent is gone
    return order;
  }

  void say(const v1::TrainerMessage& message) { stream_->Write(message); }

  void finish(v1::Outcome outcome, const std::string& text, std::int64_t applied = 0) {
    v1::TrainerMessage message;
    message.mutable_finished()->set_steps_applied(applied);
    message.mutable_finished()->set_outcome(outcome);
    message.mutable_finished()->set_message(text);
    stream_->Write(message);
    stream_->WritesDone();
    stream_->Finish();
  }

  std::string exchange(const v1::Assignment& assignment) {
    v1::ExchangeRequest request;
    *request.mutable_id() = assignment.id();
    request.set_rank(assignment.rank());
    request.set_key("address");
    request.set_blob("here");
    v1::ExchangeResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Exchange(&context, request, &response);
    if (!status.ok()) return "error " + std::to_string(status.error_code());
    return std::to_string(response.blobs_size()) + " " + response.blobs(0);
  }

 private:
  std::unique_ptr<v1::TrainerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::TrainerMessage, v1::AgentOrder>> stream_;
};

void say_steps(Trainer& trainer, int count) {
  v1::TrainerMessage message;
  message.mutable_started()->set_first_step(0);
  trainer.say(message);
  for (int step = 1; step <= count; ++step) {
    message.mutable_step()->set_step(step);
    trainer.say(message);
  }
}

int act(Trainer& trainer, const v1::Assignment& assignment, int agent_pid);

// Leaves its generation when it is told to, and plays what the next assignment says.
int wander(Trainer& trainer, int agent_pid) {
  for (;;) {
    const v1::AgentOrder order = trainer.order();
    if (order.has_assignment()) return act(trainer, order.assignment(), agent_pid);
    const bool yields = order.has_stop() && order.stop().yield();
    if (!order.has_abandon() && !yields) continue;
    v1::TrainerMessage message;
    message.mutable_left()->set_applied(5);
    message.mutable_left()->set_resident(true);
    message.mutable_left()->set_agreed(yields);
    message.mutable_left()->set_checkpointed(yields && order.stop().checkpoint());
    trainer.say(message);
  }
}

// A whole run as the coordinator expects it, with a made-up loss. `until_stopped`: no end but by order.
int train(Trainer& trainer, const v1::Assignment& assignment, bool until_stopped) {
  const std::int64_t end = assignment.plan().end_step();
  v1::TrainerMessage message;
  if (assignment.rank() == 0) {
    message.mutable_started()->set_first_step(0);
    trainer.say(message);
    for (std::int64_t step = 1; step <= (until_stopped ? 1 : end); ++step) {
      message.mutable_step()->set_step(step);
      message.mutable_step()->set_loss(2.0 / static_cast<double>(step));
      message.mutable_step()->set_seconds(0.01);
      message.mutable_step()->set_tokens(100);
      trainer.say(message);
    }
  }
  const bool save = !until_stopped || trainer.order().stop().checkpoint();
  const std::int64_t applied = until_stopped ? 1 : end;
  if (save && assignment.rank() == 0) {
    message.mutable_checkpoint()->set_step(applied);
    message.mutable_checkpoint()->set_folder(assignment.run_folder() + "/checkpoints/fake");
    message.mutable_checkpoint()->set_verified(true);
    trainer.say(message);
  }
  trainer.finish(until_stopped ? v1::OUTCOME_STOPPED : v1::OUTCOME_COMPLETED, "", applied);
  return 0;
}

int act(Trainer& trainer, const v1::Assignment& assignment, int agent_pid) {
  const std::string& name = assignment.spec().name();
  std::printf("rank %d plays %s as %d\n", assignment.rank(), name.c_str(), ::getpid());
  std::fflush(stdout);
  if (name == "crash") {
    for (int line = 1; line <= 30; ++line) std::printf("line %d\n", line);
    std::printf("the last\xff words");
    std::fflush(stdout);
    std::raise(SIGABRT);
  }
  if (name.starts_with("train")) return train(trainer, assignment, false);
  if (name.starts_with("endless")) return train(trainer, assignment, true);
  if (name == "exit3") return 3;
  if (name == "wander") return wander(trainer, agent_pid);
  if (name == "hang") ::pause();
  if (name == "linger") {
    trainer.finish(v1::OUTCOME_COMPLETED, "");
    ::pause();
  }
  if (name == "spam") {
    const std::string line(4095, 'x');
    for (int i = 0; i < 16384; ++i) std::puts(line.c_str());
  }
  std::string text = "played " + name;
  if (name == "describe") text = describe_process(agent_pid);
  if (name == "exchange") text = trainer.exchange(assignment);
  if (name == "obey") {
    const v1::AgentOrder order = trainer.order();
    trainer.finish(v1::OUTCOME_STOPPED, order.ShortDebugString());
    return 0;
  }
  if (name == "steps") {
    say_steps(trainer, 3);
    text = trainer.order().ShortDebugString();  // waits for an order between its steps and its end
  }
  trainer.finish(v1::OUTCOME_COMPLETED, text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int fd = std::atoi(argv[2]);
  const int agent_pid = std::atoi(argv[4]);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != agent_pid) return 2;
  Trainer trainer(fd);
  const v1::AgentOrder first = trainer.order();
  std::_Exit(act(trainer, first.assignment(), agent_pid));
}
