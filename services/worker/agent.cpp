#include "services/worker/agent.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/identity.h"
#include "core/base/log.h"
#include "services/worker/agent_core.h"
#include "services/worker/checkpoint_fault.h"
#include "services/worker/coordinator_link.h"
#include "services/worker/examiner.h"
#include "services/worker/mailbox.h"
#include "services/worker/out_of_memory.h"
#include "services/worker/surroundings.h"
#include "services/worker/trainer_process.h"
#include "services/worker/trainer_server.h"

namespace mdgen::worker {
namespace {

constexpr std::chrono::milliseconds kFlush{500};

std::vector<std::string> own_environment() {
  std::vector<std::string> result;
  for (char** one = ::environ; *one != nullptr; ++one) result.emplace_back(*one);
  return result;
}

std::string log_name(const v1::Assignment& assignment) {
  return "rank-" + std::to_string(assignment.rank()) + ".attempt-" + std::to_string(assignment.attempt()) +
         ".log";
}

std::string stop_reason(int number) {
  if (number == 0) return "the agent was told to stop";
  return std::string("the agent got SIG") + ::sigabbrev_np(number);
}

std::filesystem::path find_trainer(const AgentOptions& options) {
  const auto program = options.trainer.empty() ? program_folder() / "mdgen-trainer" : options.trainer;
  if (::access(program.c_str(), X_OK) != 0) {
    throw Error(ErrorCode::kNotFound, "no trainer program at " + program.string());
  }
  return std::filesystem::absolute(program);
}

// Carries out what the core decides.
class AgentLoop {
 public:
  AgentLoop(const AgentOptions& options, const StopSignal& stop)
      : options_(options),
        stop_(stop),
        program_(find_trainer(options)),
        registration_(describe_host()),
        link_(make_channel(options.coordinator, false, options.access), link_handlers()),
        core_({.coordinator = options.coordinator,
               .beat_interval = options.beat_interval,
               .connect_timeout = options.connect_timeout,
               .give_up_after = options.give_up_after,
               .drain_timeout = options.drain_timeout},
              clock_.steady()) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    registration_.set_device(
        device_name(options.device, visible == nullptr ? "" : visible, options.local_rank));
    registration_.set_local_rank(options.local_rank);
    registration_.set_local_size(options.local_size);
    registration_.set_incarnation(make_uuid());
    registration_.set_version(options.version);
    for (const auto& [key, value] : options.labels) (*registration_.mutable_labels())[key] = value;
  }

  int run() {
    while (!status_) {
      wait();
      for (auto& letter : mailbox_.take()) {
        if (letter.trainer == 0 || letter.trainer == trainer_number_) tell(letter.event);
      }
      if (process_) {
        if (auto exit = process_->reap()) on_exit(std::move(*exit));
      }
      for (auto requests = stop_.take(); requests > 0; --requests)
        tell(StopRequested{stop_reason(stop_.number())});
      memory_.look(clock_.steady());
      tell(Tick{});
    }
    end_trainer();
    link_.close(kFlush);
    return *status_;
  }

 private:
  CoordinatorLink::Handlers link_handlers() {
    return {.message =
                [this](const v1::CoordinatorMessage& message) {
                  mailbox_.post({0, Ordered{message}});
                },
            .down =
                [this](const grpc::Status& status) {
                  mailbox_.post({0, LinkDown{link_loss(status), status.error_message()}});
                }};
  }

  TrainerServer::Handlers trainer_handlers(std::uint64_t number) {
    return {.message =
                [this, number](const v1::TrainerMessage& said) {
                  mailbox_.post({number, TrainerSaid{said}});
                },
            .ended =
                [this, number] {
                  mailbox_.post({number, TrainerStreamEnded{}});
                },
            .exchange =
                [this](const v1::ExchangeRequest& request, TrainerServer::ExchangeDone done) {
                  return link_.exchange(request, std::move(done));
                }};
  }

  void wait() {
    std::array<pollfd, 3> watched{{{mailbox_.fd(), POLLIN, 0},
                                   {process_ ? process_->pidfd() : -1, POLLIN, 0},
                                   {stop_.fd(), POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(core_.wake_at() - clock_.steady());
    ::poll(watched.data(), watched.size(), static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  }

  void tell(const Event& event) {
    for (auto& action : core_.handle(event, clock_.steady())) {
      if (!status_) std::visit([this](auto& one) { carry_out(one); }, action);
    }
  }

  void carry_out(OpenLink& open) {
    if (open.new_incarnation) registration_.set_incarnation(make_uuid());
    registration_.clear_running();
    for (auto& id : open.running) *registration_.add_running() = std::move(id);
    try {
      registration_.set_address(local_address_towards(options_.coordinator));
      link_.open(registration_);
    } catch (const Error& error) {
      mailbox_.post({0, LinkDown{LinkLoss::kUnreachable, error.what()}});
    }
  }
  void carry_out(AbandonLink&) { link_.abandon(); }
  void carry_out(LinkUp& up) {
    link_.release();
    if (up.first && options_.ready) options_.ready(up.worker_id);
  }
  void carry_out(Send& send) { link_.send(std::move(send.message)); }
  void carry_out(Tell& tell) {
    if (server_) server_->send(std::move(tell.order));
  }
  void carry_out(CutLink&) { link_.cut(); }
  void carry_out(KillTrainer&) { signal_trainer(SIGKILL); }
  void carry_out(SignalTrainer& fault) { signal_trainer(fault.signal); }
  void carry_out(CorruptCheckpoint& fault) { corrupt_newest_checkpoint(fault.run_folder); }
  void carry_out(Examine& examine) { examiner_.start(examine.task); }
  void carry_out(StopExamination&) { examiner_.stop(); }
  void carry_out(Leave& leave) { status_ = leave.status; }
  void carry_out(Spawn& spawn) {
    const v1::Assignment& assignment = spawn.assignment;
    const std::uint64_t number = ++trainer_number_;
    killed_here_ = false;
    try {
      server_ = std::make_unique<TrainerServer>(trainer_handlers(number));
      const auto environment = own_environment();
      TrainerCommand command{
          .program = program_,
          .environment = trainer_environment(environment, assignment.threads(), assignment.run_folder()),
          .socket = server_->trainer_end(),
          .log_file = std::filesystem::path(assignment.run_folder()) / "logs" / log_name(assignment)};
      process_ = std::make_unique<TrainerProcess>(command);
      server_->close_trainer_end();
    } catch (const std::exception& error) {
      server_.reset();
      mailbox_.post({number, SpawnFailed{error.what()}});
    }
  }

  void signal_trainer(int number) {
    if (!process_) return;
    killed_here_ = killed_here_ || number == SIGKILL;
    process_->signal(number);
  }

  void on_exit(v1::ProcessExit exit) {
    process_.reset();
    if (!killed_here_) memory_.judge(exit, clock_.steady());
    tell(TrainerExited{std::move(exit)});
  }

  void end_trainer() {
    process_.reset();
    server_.reset();
  }

  const AgentOptions& options_;
  const StopSignal& stop_;
  std::filesystem::path program_;
  v1::Register registration_;
  SystemClock clock_;
  Mailbox mailbox_;
  CoordinatorLink link_;
  AgentCore core_;
  Examiner examiner_{examine, [this](v1::PreflightReport report) {
                       mailbox_.post({0, ExaminerSaid{std::move(report)}});
                     }};
  std::uint64_t trainer_number_ = 0;
  std::unique_ptr<TrainerServer> server_;
  std::unique_ptr<TrainerProcess> process_;
  OutOfMemoryWatch memory_{out_of_memory_kills};
  bool killed_here_ = false;  // the trainer, by this agent
  std::optional<int> status_;
};

}  // namespace

int run_agent(const AgentOptions& options, const StopSignal& stop) {
  local_address_towards(options.coordinator);
  return AgentLoop(options, stop).run();
}

}  // namespace mdgen::worker
