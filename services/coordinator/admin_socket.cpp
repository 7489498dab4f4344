#include "services/coordinator/admin_socket.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/log.h"
#include "mdgen/v1/admin_service.grpc.pb.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/grpc_status.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSocket = "admin.sock";
constexpr const char* kSnapshotPrefix = "backup-";
constexpr std::chrono::minutes kSnapshotWithin{30};

// A socket's name has at most 107 characters, a folder's may be longer: the folder is named by its
// descriptor.
class SocketName {
 public:
  explicit SocketName(const fs::path& state_dir)
      : folder_(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (folder_ < 0)
      throw Error(ErrorCode::kUnavailable, "state_dir " + state_dir.string() + ": " + std::strerror(errno));
  }
  ~SocketName() { ::close(folder_); }
  SocketName(const SocketName&) = delete;
  SocketName& operator=(const SocketName&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(folder_) + "/" + kSocket; }
  std::string target() const { return "unix:" + path(); }

 private:
  int folder_;
};

class Service final : public v1::AdminService::Service {
 public:
  Service(Coordinator& coordinator, fs::path state_dir)
      : coordinator_(coordinator), state_dir_(std::move(state_dir)) {}

  grpc::Status SnapshotStore(grpc::ServerContext*, const v1::SnapshotStoreRequest*,
                             v1::SnapshotStoreResponse* response) override {
    return guarded([&] {
      const fs::path folder = new_snapshot_folder(state_dir_);
      make_folder(folder);
      try {
        coordinator_.snapshot(folder / "coordinator.db");
      } catch (...) {
        std::error_code ignored;
        fs::remove_all(folder, ignored);
        throw;
      }
      spdlog::info("copied the store into {}, for a backup", folder.string());
      response->set_folder(folder.filename());
    });
  }

 private:
  Coordinator& coordinator_;
  const fs::path state_dir_;
};

class AdminSocketImpl final : public AdminSocket {
 public:
  AdminSocketImpl(Coordinator& coordinator, const fs::path& state_dir)
      : name_(state_dir), service_(coordinator, state_dir) {
    for (const std::string& name : names_in_folder(state_dir))
      if (name.starts_with(kSnapshotPrefix)) fs::remove_all(state_dir / name);
    grpc::ServerBuilder builder;
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    builder.AddListeningPort(name_.target(), grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_ || ::chmod(name_.path().c_str(), 0600) != 0)
      throw Error(ErrorCode::kUnavailable, "cannot listen on " + (state_dir / kSocket).string());
  }
  ~AdminSocketImpl() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }

 private:
  SocketName name_;
  Service service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

fs::path new_snapshot_folder(const fs::path& state_dir) {
  return state_dir / (kSnapshotPrefix + make_short_id());
}

std::unique_ptr<AdminSocket> AdminSocket::serve(Coordinator& coordinator, const fs::path& state_dir) {
  return std::make_unique<AdminSocketImpl>(coordinator, state_dir);
}

std::optional<fs::path> snapshot_of_running(const fs::path& state_dir) {
  if (!fs::exists(state_dir / kSocket)) return std::nullopt;
  const SocketName name(state_dir);
  const auto stub =
      v1::AdminService::NewStub(grpc::CreateChannel(name.target(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kSnapshotWithin);
  v1::SnapshotStoreResponse response;
  const grpc::Status status = stub->SnapshotStore(&context, {}, &response);
  if (status.ok()) return state_dir / response.folder();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return std::nullopt;  // left by one that was killed
  throw Error(ErrorCode::kUnavailable,
              "the coordinator of " + state_dir.string() + " makes no copy: " + status.error_message());
}

}  // namespace mdgen::coordinator
