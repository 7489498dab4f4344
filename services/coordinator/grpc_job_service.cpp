#include "services/coordinator/grpc_job_service.h"

#include <grpcpp/alarm.h>

#include <optional>

#include "services/coordinator/grpc_status.h"
#include "services/coordinator/log_cursor.h"

namespace mdgen::coordinator {
namespace {

constexpr std::chrono::milliseconds kLogPoll{200};
constexpr int kDefaultGraceSeconds = 60;
constexpr int kLedgerPage = 500;

template <typename Body>
grpc::ServerUnaryReactor* answer(grpc::CallbackServerContext* context, Body&& body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(guarded(std::forward<Body>(body)));
  return reactor;
}

// One StreamLogs call: writes pieces while there are any, then looks again after a pause. Its steps follow
// each other, each on whatever thread gRPC has.
class LogStream final : public grpc::ServerWriteReactor<v1::StreamLogsResponse> {
 public:
  LogStream(grpc::CallbackServerContext* context, const v1::StreamLogsRequest& request,
            Coordinator& coordinator)
      : context_(context), follow_(request.follow()) {
    const grpc::Status status = guarded([&] {
      coordinator.logs(request.id());
      cursor_.emplace(request, [&coordinator, id = request.id()] { return coordinator.logs(id); });
    });
    if (status.ok()) {
      advance();
    } else {
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      advance();
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnDone() override { delete this; }

 private:
  void advance() {
    if (context_->IsCancelled()) return Finish(grpc::Status::CANCELLED);
    std::optional<v1::StreamLogsResponse> piece;
    const grpc::Status status = guarded([&] { piece = cursor_->next(); });
    if (!status.ok()) return Finish(status);
    if (piece) {
      piece_ = std::move(*piece);
      StartWrite(&piece_);
    } else if (!follow_ || cursor_->exhausted()) {
      Finish(grpc::Status::OK);
    } else {
      alarm_.Set(std::chrono::system_clock::now() + kLogPoll, [this](bool) { advance(); });
    }
  }

  grpc::CallbackServerContext* context_;
  const bool follow_;
  std::optional<LogCursor> cursor_;
  v1::StreamLogsResponse piece_;
  grpc::Alarm alarm_;
};

// One StreamLedger call: the head, then the records page by page. The coordinator is asked for a page only
// when the one before has gone out, so a long ledger holds nobody up.
class LedgerStream final : public grpc::ServerWriteReactor<v1::StreamLedgerResponse> {
 public:
  LedgerStream(const v1::StreamLedgerRequest& request, Coordinator& coordinator) : coordinator_(coordinator) {
    const grpc::Status status =
        guarded([&] { piece_ = coordinator_.ledger_head(request.id(), request.with_inputs()); });
    if (status.ok()) {
      job_ = piece_.job().id();
      StartWrite(&piece_);
    } else {
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    const grpc::Status status = guarded([&] { take_page(); });
    if (!status.ok() || piece_.records().empty()) return Finish(status);
    StartWrite(&piece_);
  }
  void OnDone() override { delete this; }

 private:
  void take_page() {
    piece_.Clear();
    const ledger::Records page = coordinator_.ledger(job_, next_sequence_, kLedgerPage);
    if (page.empty()) return;
    next_sequence_ = page.back().sequence() + 1;
    *piece_.mutable_records() = {page.begin(), page.end()};
  }

  Coordinator& coordinator_;
  std::string job_;
  std::int64_t next_sequence_ = 0;
  v1::StreamLedgerResponse piece_;
};

}  // namespace

grpc::ServerUnaryReactor* GrpcJobService::SubmitJob(grpc::CallbackServerContext* context,
                                                    const v1::SubmitJobRequest* request,
                                                    v1::SubmitJobResponse* response) {
  return answer(context, [&] {
    *response->mutable_job() = coordinator_.submit(access::Caller{}, request->spec(), request->request_id(),
                                                   request->validate_only());
  });
}

grpc::ServerUnaryReactor* GrpcJobService::GetJob(grpc::CallbackServerContext* context,
                                                 const v1::GetJobRequest* request,
                                                 v1::GetJobResponse* response) {
  return answer(context, [&] { *response->mutable_job() = coordinator_.job(request->id()); });
}

grpc::ServerUnaryReactor* GrpcJobService::ListJobs(grpc::CallbackServerContext* context,
                                                   const v1::ListJobsRequest* request,
                                                   v1::ListJobsResponse* response) {
  return answer(context, [&] { *response = coordinator_.list(*request); });
}

grpc::ServerUnaryReactor* GrpcJobService::CancelJob(grpc::CallbackServerContext* context,
                                                    const v1::CancelJobRequest* request,
                                                    v1::CancelJobResponse* response) {
  return answer(context, [&] {
    const int grace = request->has_grace_seconds() ? request->grace_seconds() : kDefaultGraceSeconds;
    *response->mutable_job() =
        coordinator_.cancel(access::Caller{}, request->id(), std::chrono::seconds(grace));
  });
}

grpc::ServerUnaryReactor* GrpcJobService::PauseJob(grpc::CallbackServerContext* context,
                                                   const v1::PauseJobRequest* request,
                                                   v1::PauseJobResponse* response) {
  return answer(context, [&] {
    const int grace = request->has_grace_seconds() ? request->grace_seconds() : kDefaultGraceSeconds;
    *response->mutable_job() =
        coordinator_.pause(access::Caller{}, request->id(), std::chrono::seconds(grace));
  });
}

grpc::ServerUnaryReactor* GrpcJobService::ResumeJob(grpc::CallbackServerContext* context,
                                                    const v1::ResumeJobRequest* request,
                                                    v1::ResumeJobResponse* response) {
  return answer(context, [&] {
    *response->mutable_job() = coordinator_.resume(access::Caller{}, request->id(),
                                                   request->has_workers() ? &request->workers() : nullptr);
  });
}

grpc::ServerUnaryReactor* GrpcJobService::InjectFault(grpc::CallbackServerContext* context,
                                                      const v1::InjectFaultRequest* request,
                                                      v1::InjectFaultResponse* response) {
  if (!coordinator_.inject_allowed()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish({grpc::StatusCode::PERMISSION_DENIED,
                     "fault injection is off: start mdgen-coordinator with --allow_inject"});
    return reactor;
  }
  return answer(context, [&] {
    const Injected injected =
        coordinator_.inject(access::Caller{}, request->id(), request->rank(), request->fault());
    response->set_worker_id(injected.worker_id);
    response->set_generation(injected.generation);
  });
}

grpc::ServerWriteReactor<v1::StreamLogsResponse>* GrpcJobService::StreamLogs(
    grpc::CallbackServerContext* context, const v1::StreamLogsRequest* request) {
  return new LogStream(context, *request, coordinator_);  // deletes itself in OnDone, as reactors do
}

grpc::ServerWriteReactor<v1::StreamLedgerResponse>* GrpcJobService::StreamLedger(
    grpc::CallbackServerContext*, const v1::StreamLedgerRequest* request) {
  return new LedgerStream(*request, coordinator_);
}

}  // namespace mdgen::coordinator
