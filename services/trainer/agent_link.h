// The trainer's one connection: a socketpair to its agent, which serves TrainerService on the other end.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/train/observer.h"
#include "mdgen/v1/trainer_service.grpc.pb.h"
#include "services/trainer/agent.h"
#include "services/trainer/orders.h"
#include "services/trainer/outbox.h"

namespace mdgen::trainer {

// Threads of its own: a reader (orders; the end of the stream), a writer, and a beat every beat_interval. The
// observer's methods and exchange() may be called from any thread; observers never wait. The first assignment
// answers the hello that it says at once.
class AgentLink : public train::RunObserver, public Agent {
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

  train::RunObserver& observer() override { return *this; }
  const train::RunControl& control() const override { return orders_.control(); }
  std::vector<std::string> exchange(const v1::Assignment& assignment, const std::string& key,
                                    const std::string& blob) override;
  void end_exchanges() override { orders_.end_calls(); }
  void set_breaker(std::function<void(const std::string& reason)> breaker) override {
    orders_.set_breaker(std::move(breaker));
  }
  void left(const v1::LeftReport& report) override;
  Order next(std::chrono::milliseconds hold) override { return orders_.next(hold); }

  void phase(v1::TrainerPhase phase, std::int64_t step, bool entered_reduce) override;
  void computed(double mean_seconds) override;
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

  Options options_;
  std::unique_ptr<v1::TrainerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::TrainerMessage, v1::AgentOrder>> stream_;
  Orders orders_;
  Outbox outbox_;

  std::mutex mutex_;
  std::condition_variable changed_;
  v1::TrainerBeat beat_;
  bool finishing_ = false;
  bool stream_ended_ = false;

  std::thread reader_;
  std::thread writer_;
  std::thread beater_;
};

}  // namespace mdgen::trainer
