// The agent's core under a test: told events, its decisions as words.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "services/worker/agent_core.h"

namespace mdgen::worker::testing {

inline v1::Assignment assignment(std::int64_t generation, const std::string& job = "j") {
  v1::Assignment result;
  result.mutable_id()->set_job_id(job);
  result.mutable_id()->set_generation(generation);
  result.set_world_size(1);
  return result;
}

inline v1::CoordinatorMessage start(std::int64_t generation, const std::string& job = "j") {
  v1::CoordinatorMessage message;
  *message.mutable_start() = assignment(generation, job);
  return message;
}

inline v1::CoordinatorMessage stop(std::int64_t generation, bool kill) {
  v1::CoordinatorMessage message;
  *message.mutable_stop()->mutable_id() = assignment(generation).id();
  message.mutable_stop()->set_kill(kill);
  message.mutable_stop()->mutable_order()->set_checkpoint(true);
  return message;
}

inline v1::TrainerMessage hello() {
  v1::TrainerMessage message;
  message.mutable_hello();
  return message;
}

inline v1::ProcessExit killed() {
  v1::ProcessExit exit;
  exit.set_signal(SIGKILL);
  return exit;
}

// What was decided, as words.
inline std::string words(const std::vector<Action>& actions) {
  struct Word {
    std::string operator()(const OpenLink& open) {
      return "open" + std::to_string(open.running.size()) + (open.new_incarnation ? "!" : "");
    }
    std::string operator()(const AbandonLink&) { return "abandon-link"; }
    std::string operator()(const CutLink&) { return "cut-link"; }
    std::string operator()(const LinkUp& up) { return up.first ? "up-first" : "up"; }
    std::string operator()(const Spawn& spawn) {
      return "spawn" + std::to_string(spawn.assignment.id().generation());
    }
    std::string operator()(const KillTrainer&) { return "kill"; }
    std::string operator()(const SignalTrainer& fault) { return "signal" + std::to_string(fault.signal); }
    std::string operator()(const CorruptCheckpoint& fault) { return "corrupt:" + fault.run_folder.string(); }
    std::string operator()(const Examine& examine) {
      return "examine" + std::to_string(examine.task.attempt());
    }
    std::string operator()(const StopExamination&) { return "stop-examination"; }
    std::string operator()(const Leave& leave) { return "leave" + std::to_string(leave.status); }
    std::string operator()(const Tell& tell) {
      const v1::AgentOrder& order = tell.order;
      if (order.has_assignment()) return "tell-assignment" + generation(order.assignment().id());
      if (order.has_abandon()) return "tell-abandon" + generation(order.abandon().id());
      if (order.has_inject()) return "tell-inject";
      if (order.has_stop()) return order.stop().yield() ? "tell-yield" : "tell-stop";
      return "tell-lease";
    }
    std::string operator()(const Send& send) {
      const v1::AgentMessage& message = send.message;
      if (message.has_beat()) return "beat";
      if (message.has_goodbye()) return "goodbye";
      if (message.has_draining()) return "draining";
      if (message.has_preflight()) return "preflight" + std::to_string(message.preflight().attempt());
      const v1::TrainerEvent& event = message.trainer();
      return (event.has_exited()     ? "exited"
              : event.has_finished() ? "finished"
              : event.has_left()     ? "left"
                                     : "report") +
             generation(event.id());
    }
    static std::string generation(const v1::GenerationId& id) { return std::to_string(id.generation()); }
  };
  std::string result;
  for (const Action& action : actions) result += (result.empty() ? "" : " ") + std::visit(Word{}, action);
  return result;
}

class AgentCoreTest : public ::testing::Test {
 protected:
  std::string tell(const Event& event) { return words(core_.handle(event, now_)); }
  std::string tell(const v1::CoordinatorMessage& message) { return tell(Ordered{message}); }
  std::string tick(std::chrono::milliseconds later) {
    now_ += later;
    return tell(Tick{});
  }
  std::string welcome(std::int64_t epoch = 1) {
    v1::CoordinatorMessage message;
    message.mutable_welcome()->set_epoch(epoch);
    return tell(message);
  }
  void run_generation(std::int64_t generation) {
    ASSERT_EQ(tell(start(generation)), "spawn" + std::to_string(generation));
    ASSERT_EQ(tell(TrainerSaid{hello()}), "tell-assignment" + std::to_string(generation));
  }

  void connect() {
    tick(std::chrono::milliseconds(0));
    welcome();
  }

  Clock::Steady now_{};
  std::chrono::nanoseconds boot_{};
  AgentCore core_{AgentCore::Config{.boot_time = [this] { return boot_; }}, now_};
};

}  // namespace mdgen::worker::testing
