#include "services/worker/coordinator_link.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "core/base/log.h"
#include "services/access/credentials.h"
#include "services/worker/outbox.h"

namespace mdgen::worker {
namespace {

constexpr std::chrono::milliseconds kExchangePause{200};

// gRPC 1.51 ends the threads that run its callbacks with their last user, and sometimes aborts the process
// while doing so ("assertion failed: prior > 0" in grpc_cq_internal_unref). So the first channel stays for
// ever.
void keep_callback_threads(const std::shared_ptr<grpc::Channel>& channel) {
  [[maybe_unused]] static std::shared_ptr<grpc::Channel>* volatile kept =
      new std::shared_ptr<grpc::Channel>(channel);
}

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& target, bool own_connection,
                                            const access::Access& access) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  if (own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, access::channel_credentials(access, arguments), arguments);
}

LinkLoss link_loss(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::ALREADY_EXISTS:
      return LinkLoss::kSlotTaken;
    case grpc::StatusCode::ABORTED:
      return LinkLoss::kSuperseded;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return LinkLoss::kIncompatible;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return LinkLoss::kRefused;
    default:
      return LinkLoss::kUnreachable;
  }
}

struct CoordinatorLink::State {
  Handlers handlers;
  std::unique_ptr<v1::WorkerService::Stub> stub;
  std::mutex mutex;
  std::condition_variable ended;
  std::shared_ptr<Stream> stream;
  std::string incarnation;
  Outbox outbox;
  std::optional<v1::AgentMessage> beat;
  bool released = false;
  bool closing = false;
  bool cut = false;
  std::set<std::shared_ptr<ExchangeCall>> calls;
};

// One connection. Its members are guarded by the state's mutex; it lives until OnDone.
class CoordinatorLink::Stream : public grpc::ClientBidiReactor<v1::AgentMessage, v1::CoordinatorMessage> {
 public:
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void start(const v1::Register& registration) {
    *outgoing_.mutable_register_() = registration;
    writing_ = true;
    state_->stub->async()->Connect(&context_, this);
    AddHold();
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }

  void write_next() {
    if (writing_ || dead_ || half_closed_) return;
    if (state_->released && state_->beat) {
      outgoing_ = *std::exchange(state_->beat, std::nullopt);
    } else if (state_->released && !state_->outbox.empty()) {
      outgoing_ = state_->outbox.front();
      from_outbox_ = true;
    } else if (state_->closing) {
      half_closed_ = true;
      StartWritesDone();
      return;
    } else {
      return;
    }
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (ok) {
      if (incoming_.has_stored()) {
        const std::lock_guard lock(state_->mutex);
        state_->outbox.stored(incoming_.stored());
      } else {
        state_->handlers.message(incoming_);
      }
      StartRead(&incoming_);
      return;
    }
    const std::lock_guard lock(state_->mutex);
    dead_ = true;
    RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(state_->mutex);
    writing_ = false;
    if (std::exchange(from_outbox_, false) && ok) state_->outbox.pop();
    if (ok) write_next();
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<State> state = state_;
    std::shared_ptr<Stream> self;
    const std::lock_guard lock(state->mutex);
    self = std::exchange(state->stream, nullptr);
    state->handlers.down(status);
    state->ended.notify_all();
  }

 private:
  std::shared_ptr<State> state_;
  grpc::ClientContext context_;
  v1::AgentMessage outgoing_;
  v1::CoordinatorMessage incoming_;
  bool writing_ = false, from_outbox_ = false, dead_ = false, half_closed_ = false;
};

// One rendezvous call with its repetitions. Guarded by the state's mutex.
class CoordinatorLink::ExchangeCall : public std::enable_shared_from_this<ExchangeCall> {
 public:
  ExchangeCall(std::shared_ptr<State> state, v1::ExchangeRequest request, ExchangeDone done)
      : state_(std::move(state)), request_(std::move(request)), done_(std::move(done)) {}

  void attempt() {
    if (state_->cut) return attempt_later();
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_wait_for_ready(true);
    state_->stub->async()->Exchange(
        context_.get(), &request_, &response_,
        [self = shared_from_this()](const grpc::Status& status) { self->ended(status); });
  }

  void cancel() {
    cancelled_ = true;
    interrupt();
    alarm_.Cancel();
  }

  void interrupt() {
    if (context_) context_->TryCancel();
  }

 private:
  void ended(const grpc::Status& status) {
    std::unique_lock lock(state_->mutex);
    if (!cancelled_ && (state_->cut || status.error_code() == grpc::StatusCode::UNAVAILABLE)) {
      return attempt_later();
    }
    finish(std::move(lock), status);
  }

  void attempt_later() {
    alarm_.Set(std::chrono::system_clock::now() + kExchangePause,
               [self = shared_from_this()](bool) { self->again(); });
  }

  void again() {
    std::unique_lock lock(state_->mutex);
    if (cancelled_) return finish(std::move(lock), grpc::Status::CANCELLED);
    attempt();
  }

  void finish(std::unique_lock<std::mutex> lock, const grpc::Status& status) {
    const auto self = shared_from_this();
    lock.unlock();
    done_(status, response_);
    lock.lock();
    state_->calls.erase(self);
    state_->ended.notify_all();
  }

  std::shared_ptr<State> state_;
  v1::ExchangeRequest request_;
  v1::ExchangeResponse response_;
  ExchangeDone done_;
  std::unique_ptr<grpc::ClientContext> context_;
  grpc::Alarm alarm_;
  bool cancelled_ = false;
};

CoordinatorLink::CoordinatorLink(const std::string& target, Handlers handlers)
    : CoordinatorLink(make_channel(target), std::move(handlers)) {}

CoordinatorLink::CoordinatorLink(const std::shared_ptr<grpc::Channel>& channel, Handlers handlers)
    : state_(std::make_shared<State>()) {
  state_->handlers = std::move(handlers);
  keep_callback_threads(channel);
  state_->stub = v1::WorkerService::NewStub(channel);
}

CoordinatorLink::~CoordinatorLink() {
  abandon();
  std::unique_lock lock(state_->mutex);
  for (const auto& call : state_->calls) call->cancel();
  state_->ended.wait(lock, [this] { return state_->stream == nullptr && state_->calls.empty(); });
}

void CoordinatorLink::open(const v1::Register& registration) {
  const std::lock_guard lock(state_->mutex);
  state_->incarnation = registration.incarnation();
  state_->released = false;
  state_->cut = false;
  state_->beat.reset();
  state_->outbox.rewind();
  state_->stream = std::make_shared<Stream>(state_);
  state_->stream->start(registration);
}

void CoordinatorLink::send(v1::AgentMessage message) {
  const std::lock_guard lock(state_->mutex);
  if (message.has_beat()) {
    state_->beat = std::move(message);
  } else if (message.has_trainer() || state_->released) {
    state_->outbox.push(std::move(message));
  }
  if (state_->stream) state_->stream->write_next();
}

void CoordinatorLink::release() {
  const std::lock_guard lock(state_->mutex);
  state_->released = true;
  if (state_->stream) state_->stream->write_next();
}

void CoordinatorLink::abandon() {
  const std::lock_guard lock(state_->mutex);
  if (state_->stream) state_->stream->cancel();
}

void CoordinatorLink::cut() {
  const std::lock_guard lock(state_->mutex);
  state_->cut = true;
  for (const auto& call : state_->calls) call->interrupt();
  if (state_->stream) state_->stream->cancel();
}

void CoordinatorLink::close(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  state_->closing = true;
  if (!state_->stream) return;
  state_->stream->write_next();
  state_->ended.wait_for(lock, timeout, [this] { return state_->stream == nullptr; });
  if (state_->outbox.dropped() > 0) spdlog::warn("{} reports were dropped", state_->outbox.dropped());
}

std::function<void()> CoordinatorLink::exchange(const v1::ExchangeRequest& request, ExchangeDone done) {
  const std::lock_guard lock(state_->mutex);
  v1::ExchangeRequest own = request;
  own.set_incarnation(state_->incarnation);
  auto call = std::make_shared<ExchangeCall>(state_, std::move(own), std::move(done));
  state_->calls.insert(call);
  call->attempt();
  return [state = state_, weak = std::weak_ptr<ExchangeCall>(call)] {
    const std::lock_guard guard(state->mutex);
    if (const auto alive = weak.lock()) alive->cancel();
  };
}

}  // namespace mdgen::worker
