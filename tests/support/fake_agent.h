// An agent made for tests: serves TrainerService over a socketpair and starts the real mdgen-trainer.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/trainer_service.grpc.pb.h"

namespace mdgen::testing {

struct ProcessEnd {
  bool exited = false;
  int status = 0;  // exit status, or the signal's number
};

// Thread-safe.
class FakeAgent : private v1::TrainerService::Service {
 public:
  using ExchangeHandler = std::function<grpc::Status(const v1::ExchangeRequest&, v1::ExchangeResponse&,
                                                     const std::function<bool()>& cancelled)>;
  // Starts the trainer; it gets `assignment` as the answer to its hello. `exchange` is the rendezvous; it may
  // wait.
  FakeAgent(const std::string& trainer, v1::Assignment assignment, const std::string& log_file,
            std::optional<pid_t> claimed_pid = std::nullopt, ExchangeHandler exchange = {});
  ~FakeAgent() override;
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  // Waits until `enough` holds for what was received so far (asked after every message). False after 60 s.
  bool wait_for(const std::function<bool(const std::vector<v1::TrainerMessage>&)>& enough);
  std::vector<v1::TrainerMessage> received();

  // Forgets what was received so far.
  void forget();
  void send(const v1::AgentOrder& order);
  // Closes the connection as an agent's death would.
  void hang_up();
  void signal(int number) const;
  // Waits for the trainer's end.
  ProcessEnd wait_for_exit();

 private:
  grpc::Status Run(grpc::ServerContext* context,
                   grpc::ServerReaderWriter<v1::AgentOrder, v1::TrainerMessage>* stream) override;

  grpc::Status Exchange(grpc::ServerContext* context, const v1::ExchangeRequest* request,
                        v1::ExchangeResponse* response) override;

  v1::Assignment assignment_;
  ExchangeHandler exchange_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::TrainerMessage> messages_;
  grpc::ServerReaderWriter<v1::AgentOrder, v1::TrainerMessage>* stream_ = nullptr;
  std::unique_ptr<grpc::Server> server_;
  int descriptor_ = -1;
  pid_t trainer_ = -1;
  std::optional<ProcessEnd> end_;
};

}  // namespace mdgen::testing
