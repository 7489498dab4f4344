#include "services/coordinator/grpc_streams.h"

#include <grpcpp/alarm.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "services/coordinator/grpc_call.h"
#include "services/coordinator/log_cursor.h"

namespace mdgen::coordinator {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds kPoll{200};
constexpr double kDefaultRate = 4.0;
constexpr double kHighestRate = 20.0;
constexpr int kLedgerPage = 500;

// A slot of the client's, and pauses that end with the call: an alarm is never longer than kPoll away.
template <typename Response>
class Stream : public grpc::ServerWriteReactor<Response> {
 public:
  void OnDone() override { delete this; }

 protected:
  Stream(grpc::CallbackServerContext* context, Frontend& frontend) : context_(context), frontend_(frontend) {}

  // Ends the call when what it begins with fails.
  template <typename Body>
  bool begin(Body&& body) {
    const grpc::Status status = guarded([&] {
      slot_ = frontend_.streams.take(client_of(access::caller_of(frontend_.gate.get(), *context_)));
      body();
    });
    if (!status.ok()) this->Finish(status);
    return status.ok();
  }
  bool is_over() {
    if (!context_->IsCancelled()) return false;
    this->Finish(grpc::Status::CANCELLED);
    return true;
  }
  template <typename Body>
  void after(std::chrono::milliseconds pause, Body body) {
    alarm_.Set(std::chrono::system_clock::now() + std::min(pause, kPoll),
               [body = std::move(body)](bool) { body(); });
  }
  Coordinator& coordinator() { return frontend_.coordinator; }
  Frontend& frontend() { return frontend_; }

 private:
  grpc::CallbackServerContext* context_;
  Frontend& frontend_;
  StreamSlots::Slot slot_;
  grpc::Alarm alarm_;
};

class WatchStream final : public Stream<v1::WatchJobResponse> {
 public:
  WatchStream(grpc::CallbackServerContext* context, const v1::WatchJobRequest& request, Frontend& frontend)
      : Stream(context, frontend) {
    if (begin([&] { prepare(request); })) look();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    if (ended_) return Finish(grpc::Status::OK);
    after(period_, [this] { look(); });
  }

 private:
  void prepare(const v1::WatchJobRequest& request) {
    const double rate = request.max_rate();
    if (!std::isfinite(rate) || rate < 0)
      throw Error(ErrorCode::kInvalidArgument, "max_rate: must be at least 0");
    const double taken = std::min(rate == 0 ? kDefaultRate : rate, kHighestRate);
    period_ = std::chrono::milliseconds(static_cast<std::int64_t>(std::min(1000.0 / taken, 1e9)));
    job_ = coordinator().job(request.id()).id();
  }

  void look() {
    if (is_over()) return;
    Watched found;
    const grpc::Status status = guarded([&] { found = coordinator().watch(job_, seen_); });
    if (!status.ok()) return Finish(status);
    const Time now = std::chrono::steady_clock::now();
    const bool due = seen_ == 0 || now - sent_at_ >= period_;
    if (found.job && (due || found.ended)) {
      seen_ = found.version;
      ended_ = found.ended;
      sent_at_ = now;
      message_.mutable_job()->Swap(&*found.job);
      StartWrite(&message_);
    } else if (found.ended && !found.job) {
      Finish(grpc::Status::OK);
    } else {
      after(std::min<std::chrono::milliseconds>(period_, kPoll), [this] { look(); });
    }
  }

  std::string job_;
  std::chrono::milliseconds period_{250};
  std::uint64_t seen_ = 0;
  bool ended_ = false;
  Time sent_at_{};
  v1::WatchJobResponse message_;
};

class LogStream final : public Stream<v1::StreamLogsResponse> {
 public:
  LogStream(grpc::CallbackServerContext* context, const v1::StreamLogsRequest& request, Frontend& frontend)
      : Stream(context, frontend), follow_(request.follow()) {
    const bool begun = begin([&] {
      const std::string id = coordinator().job(request.id()).id();
      cursor_.emplace(request, [this, id] { return coordinator().logs(id); });
    });
    if (begun) read_later();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    read_later();
  }

 private:
  void read_later() {
    if (frontend().files.post([this] { read(); })) return;
    after(kPoll, [this] {  // others wait too
      if (!is_over()) read_later();
    });
  }

  void read() {
    if (is_over()) return;
    std::optional<v1::StreamLogsResponse> piece;
    const grpc::Status status = guarded([&] { piece = cursor_->next(); });
    if (!status.ok()) return Finish(status);
    if (piece) {
      message_ = std::move(*piece);
      StartWrite(&message_);
    } else if (!follow_ || cursor_->exhausted()) {
      Finish(grpc::Status::OK);
    } else {
      after(kPoll, [this] { read_later(); });
    }
  }

  const bool follow_;
  std::optional<LogCursor> cursor_;
  v1::StreamLogsResponse message_;
};

// The head, then the records page by page. The coordinator is asked for a page only when the one before has
// gone out, so a long ledger holds nobody up.
class LedgerStream final : public Stream<v1::StreamLedgerResponse> {
 public:
  LedgerStream(grpc::CallbackServerContext* context, const v1::StreamLedgerRequest& request,
               Frontend& frontend)
      : Stream(context, frontend) {
    if (!begin([&] { message_ = coordinator().ledger_head(request.id(), request.with_inputs()); })) return;
    job_ = message_.job().id();
    StartWrite(&message_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    const grpc::Status status = guarded([&] { take_page(); });
    if (!status.ok() || message_.records().empty()) return Finish(status);
    StartWrite(&message_);
  }

 private:
  void take_page() {
    message_.Clear();
    const ledger::Records page = coordinator().ledger(job_, next_sequence_, kLedgerPage);
    if (page.empty()) return;
    next_sequence_ = page.back().sequence() + 1;
    *message_.mutable_records() = {page.begin(), page.end()};
  }

  std::string job_;
  std::int64_t next_sequence_ = 0;
  v1::StreamLedgerResponse message_;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchJobResponse>* watch_job(grpc::CallbackServerContext* context,
                                                          const v1::WatchJobRequest& request,
                                                          Frontend& frontend) {
  return new WatchStream(context, request, frontend);
}

grpc::ServerWriteReactor<v1::StreamLogsResponse>* stream_logs(grpc::CallbackServerContext* context,
                                                              const v1::StreamLogsRequest& request,
                                                              Frontend& frontend) {
  return new LogStream(context, request, frontend);
}

grpc::ServerWriteReactor<v1::StreamLedgerResponse>* stream_ledger(grpc::CallbackServerContext* context,
                                                                  const v1::StreamLedgerRequest& request,
                                                                  Frontend& frontend) {
  return new LedgerStream(context, request, frontend);
}

}  // namespace mdgen::coordinator
