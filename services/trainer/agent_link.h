// The trainer's one connection: a socketpair to its agent, which serves TrainerService on the other end.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/train/observer.h"
#include "mdgen/v1/trainer_service.grpc.pb.h"
#include "services/trainer/outbox.h"

namespace mdgen::trainer {

// Threads of its own: a reader (orders into the control; the end of the stream), a writer, and a beat every
// beat_interval. The observer's methods and exchange() may be called from any thread; observers never wait.
class AgentLink : public train::RunObserver {
 public:
  struct Options {
    std::chrono::milliseconds beat_interval{500};
    // How long finish() waits for the agent to close the stream.
    std::chrono::milliseconds farewell{5000};
    // Called on the reader's thread when the agent ends the stream before finish().
    std::function<void()> agent_lost;
  };

  // Takes the descriptor over.
  AgentLink(int descriptor, Options options);
  ~AgentLink() override;
  AgentLink(const AgentLink&) = delete;
  AgentLink& operator=(const AgentLink&) = delete;

  // Says hello and waits for the assignment; nothing when the agent has gone. The lease starts to run here.
  std::optional<v1::Assignment> hello();

  // comm::Exchange over the agent. Throws Error(kAborted) when the generation is superseded and
  // Error(kUnavailable) when the agent or the coordinator cannot be reached.
  std::vector<std::string> exchange(const v1::Assignment& assignment, const std::string& key,
                                    const std::string& blob);

  const train::RunControl& control() const { return control_; }

  void phase(v1::TrainerPhase phase, std::int64_t step, bool entered_reduce) override;
  void started(const v1::StartReport& report) override;
  void step_committed(const v1::StepReport& report) override;
  void validated(const v1::ValidationReport& report) override;
  void checkpoint(const v1::CheckpointReport& report) override;

  // The last word: sends it after all that is queued and waits until the agent has closed the stream.
  void finish(const v1::FinishReport& report);

 private:
  void read_orders();
  void write_messages();
  void beat();
  void take(const v1::Lease& lease);
  void take(const v1::StopOrder& order);

  Options options_;
  std::unique_ptr<v1::TrainerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::TrainerMessage, v1::AgentOrder>> stream_;
  train::RunControl control_;
  Outbox outbox_;

  std::mutex mutex_;
  std::condition_variable changed_;
  v1::TrainerBeat beat_;
  std::optional<v1::Assignment> assignment_;
  bool finishing_ = false;
  bool stream_ended_ = false;

  std::thread reader_;
  std::thread writer_;
  std::thread beater_;
};

}  // namespace mdgen::trainer
