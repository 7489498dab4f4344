#include "services/coordinator/server.h"

#include <absl/synchronization/mutex.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "core/base/log.h"
#include "services/access/credentials.h"
#include "services/access/refresher.h"
#include "services/access/tls_context.h"
#include "services/coordinator/address.h"
#include "services/coordinator/admin_socket.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/frontend.h"
#include "services/coordinator/grpc_job_service.h"
#include "services/coordinator/grpc_pool_service.h"
#include "services/coordinator/grpc_worker_service.h"
#include "services/coordinator/http_server.h"
#include "services/coordinator/step_samples.h"
#include "services/coordinator/store.h"
#include "services/coordinator/validator.h"
#include "services/version/grpc_version.h"

namespace mdgen::coordinator {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr std::chrono::milliseconds kStopWait{200};  // for calls under way; streams never end of themselves
// A vanished client's stream is noticed; liveness itself is an application beat.
constexpr int kKeepaliveMs = 20'000;

void enable_plugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Distributions build Abseil so that each of gRPC's locks looks for cycles among all that are held: a
    // tenth of a busy coordinator's time.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

class ServerImpl final : public Server {
 public:
  explicit ServerImpl(const ServerOptions& options)
      : audit_(make_audit(options)),
        gate_(make_gate(options, audit_)),
        coordinator_(make_coordinator(options)),
        frontend_(*coordinator_, options.limits, clock(), gate_, audit_),
        jobs_(frontend_),
        pool_(frontend_),
        workers_(*coordinator_) {
    if (!options.http.empty()) {
      auto tls = gate_ ? access::tls_contexts(gate_) : nullptr;
      http_ = std::make_unique<HttpServer>(frontend_, options.http, std::move(tls));
    }
    serve(options);
    if (options.admin_socket) admin_ = AdminSocket::serve(*coordinator_, options.state_dir);
  }
  ~ServerImpl() override { stop(); }

  std::string grpc_address() const override { return grpc_address_; }
  std::string http_address() const override { return http_ ? http_->address() : ""; }
  v1::Job submit(const v1::JobSpec& resolved) override {
    return coordinator_->submit(access::Caller{}, resolved, make_uuid());
  }
  v1::Job cancel(const std::string& job_id, std::chrono::seconds grace) override {
    return coordinator_->cancel(access::Caller{}, job_id, grace);
  }
  v1::Job job(const std::string& job_id) const override { return coordinator_->job(job_id); }
  std::optional<v1::Job> wait(const std::string& job_id, std::chrono::milliseconds timeout) override {
    return coordinator_->wait(job_id, timeout);
  }
  void dismiss_workers(std::chrono::milliseconds timeout) override { coordinator_->dismiss_workers(timeout); }

  void reload() override {
    if (gate_) gate_->refresh();
  }

  void stop() override {
    const std::lock_guard lock(stop_mutex_);
    if (!grpc_) return;
    admin_.reset();
    grpc_->GetHealthCheckService()->SetServingStatus(false);
    coordinator_->stop();  // before the streams: those that end from now on are no lost workers
    grpc_->Shutdown(std::chrono::system_clock::now() + kStopWait);
    grpc_->Wait();
    grpc_.reset();
    if (http_) http_->stop();
    frontend_.files.stop();
  }

 private:
  static const Clock& clock() {
    static const SystemClock clock;
    return clock;
  }

  static std::unique_ptr<Coordinator> make_coordinator(const ServerOptions& options) {
    auto store = std::make_unique<Store>(options.state_dir);
    const std::int64_t epoch = store->epoch();
    CoordinatorOptions settings;
    settings.engine.worker_lost_after = options.worker_lost_after;
    settings.engine.reconnect_grace = options.reconnect_grace;
    settings.engine.grow_interval = options.grow_interval;
    settings.engine.step_samples = step_samples;
    settings.engine.retention = {options.keep_jobs, options.keep_for};
    settings.allow_inject = options.allow_inject;
    settings.run_roots = {options.run_roots, options.data_roots};
    return std::make_unique<Coordinator>(
        std::move(settings), std::move(store), epoch, clock(),
        [](const RequestManifest& request, const ParallelProgress& progress) {
          return examine(request, progress);
        });
  }

  static std::shared_ptr<access::AuditLog> make_audit(const ServerOptions& options) {
    if (options.audit_log.empty()) return nullptr;
    std::filesystem::create_directories(options.audit_log.parent_path());
    return std::make_shared<access::AuditLog>(options.audit_log, clock());
  }

  static std::shared_ptr<access::Gate> make_gate(const ServerOptions& options,
                                                 const std::shared_ptr<access::AuditLog>& audit) {
    if (options.access) return std::make_shared<access::Gate>(*options.access, clock(), audit);
    check_plain("listen", options.listen, options.insecure);
    if (!options.http.empty()) check_plain("http", options.http, options.insecure);
    return nullptr;
  }

  static void check_plain(const std::string& what, const std::string& address, bool insecure) {
    if (is_loopback(parse_address(what, address))) return;
    if (!insecure)
      throw Error(ErrorCode::kInvalidArgument,
                  what + ": " + address + " is not loopback, so it needs a certificate and a token");
    spdlog::warn("{} {} is open: who reaches it does as an admin, and everybody on the way reads along", what,
                 address);
  }

  void serve(const ServerOptions& options) {
    enable_plugins();
    const std::string& listen = options.listen;
    const HostPort wanted = parse_address("listen", listen);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(
        listen, gate_ ? access::server_credentials(gate_) : grpc::InsecureServerCredentials(), &port);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
    // Clients notice a vanished coordinator by pings on their silent streams.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMs / 2);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(version::tell_version());
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    builder.RegisterService(&jobs_);
    builder.RegisterService(&pool_);
    builder.RegisterService(&workers_);
    grpc_ = builder.BuildAndStart();
    if (!grpc_ || port == 0) throw Error(ErrorCode::kUnavailable, "listen: cannot listen on " + listen);
    for (const char* name : {"mdgen.v1.JobService", "mdgen.v1.PoolService", "mdgen.v1.WorkerService"})
      grpc_->GetHealthCheckService()->SetServingStatus(name, true);
    grpc_address_ = to_address(wanted.host, port);
    if (gate_) refresher_.emplace([this] { gate_->refresh(); });
  }

  std::shared_ptr<access::AuditLog> audit_;
  std::shared_ptr<access::Gate> gate_;  // null: no access control
  std::unique_ptr<Coordinator> coordinator_;
  Frontend frontend_;
  GrpcJobService jobs_;
  GrpcPoolService pool_;
  GrpcWorkerService workers_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<AdminSocket> admin_;
  std::string grpc_address_;
  std::mutex stop_mutex_;
  std::optional<access::Refresher> refresher_;
};

}  // namespace

std::unique_ptr<Server> Server::start(const ServerOptions& options) {
  return std::make_unique<ServerImpl>(options);
}

}  // namespace mdgen::coordinator
