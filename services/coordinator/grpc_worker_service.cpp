#include "services/coordinator/grpc_worker_service.h"

#include <deque>
#include <mutex>
#include <utility>

#include "core/base/log.h"
#include "services/coordinator/grpc_status.h"
#include "services/version/version.h"

namespace mdgen::coordinator {
namespace {

// One agent's stream. The coordinator holds it as a sink, gRPC as a reactor (self_, until OnDone). Its mutex
// is never held while the coordinator is called.
class AgentStream final : public grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>,
                          public AgentSink {
 public:
  static AgentStream* start(Coordinator& coordinator) {
    auto stream = std::shared_ptr<AgentStream>(new AgentStream(coordinator));
    stream->self_ = stream;
    stream->StartRead(&stream->incoming_);
    return stream.get();
  }

  void send(const v1::CoordinatorMessage& message) override {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    outgoing_.push_back(message);
  }

  void flush() override {
    const std::lock_guard lock(mutex_);
    if (outgoing_.empty() || std::exchange(writing_, true)) return;
    StartWrite(&outgoing_.front());
  }

  void close(const std::string& reason) override { end(grpc::Status(grpc::StatusCode::ABORTED, reason)); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      if (!worker_id_.empty()) coordinator_.agent_gone(worker_id_, self_);
      end(grpc::Status::OK);
      return;
    }
    const grpc::Status status = guarded([&] { receive(); });
    if (status.ok()) {
      StartRead(&incoming_);
    } else {
      if (!worker_id_.empty()) coordinator_.agent_gone(worker_id_, self_);
      end(status);
    }
  }

  void OnWriteDone(bool) override {
    const std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (!outgoing_.empty()) {
      StartWrite(&outgoing_.front());
      return;
    }
    writing_ = false;
    if (ending_) Finish(last_status_);
  }

  void OnDone() override { self_.reset(); }

 private:
  explicit AgentStream(Coordinator& coordinator) : coordinator_(coordinator) {}

  void receive() {
    if (!worker_id_.empty()) {
      coordinator_.agent_message(worker_id_, self_, std::move(incoming_));
      return;
    }
    if (!incoming_.has_register_())
      throw Error(ErrorCode::kFailedPrecondition, "the first message of an agent must be `register`");
    const v1::Register& identity = incoming_.register_();
    if (const auto reason = version::refuse_worker(version::program_version(), identity.version())) {
      spdlog::warn("refused a worker on {}: {}", identity.host(), *reason);
      throw Error(ErrorCode::kFailedPrecondition, *reason);
    }
    worker_id_ = coordinator_.connect(self_, identity);
  }

  // What is queued is still written: a flush() follows each send().
  void end(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    ending_ = true;
    last_status_ = status;
    if (outgoing_.empty()) Finish(status);
  }

  Coordinator& coordinator_;
  std::shared_ptr<AgentStream> self_;
  std::string worker_id_;  // of the reading side alone
  v1::AgentMessage incoming_;

  std::mutex mutex_;
  std::deque<v1::CoordinatorMessage> outgoing_;
  bool writing_ = false;  // the front one
  bool ending_ = false;
  grpc::Status last_status_;
};

// Bytes that are shared, not copied.
grpc::ByteBuffer buffer_of(const std::shared_ptr<const std::string>& bytes) {
  auto* holder = new std::shared_ptr<const std::string>(bytes);  // the slice's; deleted with it
  const grpc::Slice slice(
      const_cast<char*>(bytes->data()), bytes->size(),
      [](void* held) { delete static_cast<std::shared_ptr<const std::string>*>(held); }, holder);
  return grpc::ByteBuffer(&slice, 1);
}

// One waiting Exchange. Whoever takes its ticket out of the coordinator finishes it.
class ExchangeCall final : public grpc::ServerUnaryReactor {
 public:
  ExchangeCall(Coordinator& coordinator, v1::ExchangeRequest request, grpc::ByteBuffer* response)
      : coordinator_(coordinator), ticket_(coordinator.new_ticket()) {
    coordinator_.exchange(ticket_, std::move(request), [this, response](const ExchangeAnswer& answer) {
      if (answer.response) *response = buffer_of(answer.response);
      Finish(answer.superseded ? grpc::Status(grpc::StatusCode::ABORTED, answer.message) : grpc::Status::OK);
    });
  }
  void OnCancel() override {
    if (coordinator_.cancel_exchange(ticket_)) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  Coordinator& coordinator_;
  const Ticket ticket_;
};

}  // namespace

grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* GrpcWorkerService::Connect(
    grpc::CallbackServerContext*) {
  return AgentStream::start(coordinator_);
}

grpc::ServerUnaryReactor* GrpcWorkerService::Exchange(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* request,
                                                      grpc::ByteBuffer* response) {
  v1::ExchangeRequest parsed;
  grpc::ByteBuffer bytes(*request);
  const grpc::Status status = grpc::SerializationTraits<v1::ExchangeRequest>::Deserialize(&bytes, &parsed);
  if (!status.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(status);
    return reactor;
  }
  return new ExchangeCall(coordinator_, std::move(parsed),
                          response);  // deletes itself in OnDone, as reactors do
}

}  // namespace mdgen::coordinator
