#include "services/trainer/agent_link.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <unistd.h>

#include <utility>

#include "core/base/error.h"
#include "services/version/version.h"

namespace mdgen::trainer {
namespace {

std::shared_ptr<grpc::Channel> channel_over(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomInsecureChannelFromFd("agent", descriptor, arguments);
}

ErrorCode code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::ABORTED:
      return ErrorCode::kAborted;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kUnavailable;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorCode::kInvalidArgument;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ErrorCode::kFailedPrecondition;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

AgentLink::AgentLink(int descriptor, Options options)
    : options_(std::move(options)), stub_(v1::TrainerService::NewStub(channel_over(descriptor))) {
  beat_.set_phase(v1::TRAINER_PHASE_INIT);
  stream_ = stub_->Run(&context_);
  v1::TrainerMessage hello;
  hello.mutable_hello()->set_pid(::getpid());
  hello.mutable_hello()->set_version(version::program_version());
  outbox_.push(std::move(hello));
  reader_ = std::thread([this] { read_orders(); });
  writer_ = std::thread([this] { write_messages(); });
  beater_ = std::thread([this] { beat(); });
}

AgentLink::~AgentLink() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  outbox_.close();
  context_.TryCancel();
  for (std::thread* thread : {&reader_, &writer_, &beater_}) thread->join();
  stream_->Finish();
}

std::vector<std::string> AgentLink::exchange(const v1::Assignment& assignment, const std::string& key,
                                             const std::string& blob) {
  v1::ExchangeRequest request;
  *request.mutable_id() = assignment.id();
  request.set_rank(assignment.rank());
  request.set_key(key);
  request.set_blob(blob);
  grpc::ClientContext context;
  const Orders::Call call(orders_, [&context] { context.TryCancel(); });
  v1::ExchangeResponse response;
  const grpc::Status status = stub_->Exchange(&context, request, &response);
  if (!status.ok()) {
    if (control().abandoned) throw Error(ErrorCode::kAborted, "rendezvous '" + key + "': abandoned");
    throw Error(code_of(status.error_code()), "rendezvous '" + key + "': " + status.error_message());
  }
  if (response.blobs_size() != assignment.world_size()) {
    throw Error(ErrorCode::kInternal, "rendezvous '" + key + "' answered " +
                                          std::to_string(response.blobs_size()) + " blobs for " +
                                          std::to_string(assignment.world_size()) + " ranks");
  }
  return {response.blobs().begin(), response.blobs().end()};
}

void AgentLink::phase(v1::TrainerPhase phase, std::int64_t step, bool entered_reduce) {
  const std::lock_guard lock(mutex_);
  beat_.set_phase(phase);
  beat_.set_step(step);
  beat_.set_entered_reduce(entered_reduce);
}

void AgentLink::computed(double mean_seconds) {
  const std::lock_guard lock(mutex_);
  beat_.set_compute_seconds(mean_seconds);
}

void AgentLink::started(const v1::StartReport& report) {
  v1::TrainerMessage message;
  *message.mutable_started() = report;
  outbox_.push(std::move(message));
}

void AgentLink::step_committed(const v1::StepReport& report) {
  v1::TrainerMessage message;
  *message.mutable_step() = report;
  outbox_.push(std::move(message));
}

void AgentLink::validated(const v1::ValidationReport& report) {
  v1::TrainerMessage message;
  *message.mutable_validation() = report;
  outbox_.push(std::move(message));
}

void AgentLink::checkpoint(const v1::CheckpointReport& report) {
  v1::TrainerMessage message;
  *message.mutable_checkpoint() = report;
  outbox_.push(std::move(message));
}

void AgentLink::left(const v1::LeftReport& report) {
  orders_.left();
  computed(0);
  v1::TrainerMessage message;
  *message.mutable_left() = report;
  outbox_.push(std::move(message));
}

void AgentLink::finish(const v1::FinishReport& report) {
  v1::TrainerMessage message;
  *message.mutable_finished() = report;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  outbox_.push(std::move(message));
  outbox_.close();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, options_.farewell, [this] { return stream_ended_; });
}

void AgentLink::read_orders() {
  v1::AgentOrder order;
  while (stream_->Read(&order)) orders_.take(order);
  bool lost = false;
  {
    const std::lock_guard lock(mutex_);
    stream_ended_ = true;
    lost = !finishing_;
    changed_.notify_all();
  }
  orders_.end();
  if (lost && options_.agent_lost) options_.agent_lost();
}

void AgentLink::write_messages() {
  while (const auto message = outbox_.pop()) {
    if (!stream_->Write(*message)) return;
  }
  stream_->WritesDone();
}

void AgentLink::beat() {
  std::unique_lock lock(mutex_);
  while (!finishing_ && !stream_ended_) {
    v1::TrainerMessage message;
    *message.mutable_beat() = beat_;
    outbox_.push(std::move(message));
    changed_.wait_for(lock, options_.beat_interval, [this] { return finishing_ || stream_ended_; });
  }
}

}  // namespace mdgen::trainer
