// The coordinator as a library: gRPC (JobService, WorkerService, health, reflection) and HTTP over one engine
// and one SQLite store. mdgen-coordinator and mdgen-launch's rank 0 start it.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/job_spec.pb.h"
#include "services/access/server_access.h"

namespace mdgen::coordinator {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // gRPC; port 0: a free one
  // For gRPC and HTTP. Nothing: plain, for everybody who reaches it; allowed on loopback alone, unless
  // `insecure`.
  std::optional<access::ServerAccess> access;
  bool insecure = false;
  bool open_metrics = false;                     // GET /metrics needs no token
  std::filesystem::path audit_log;               // who changed what; empty: nobody notes it
  std::string http = "127.0.0.1:0";              // empty: no HTTP
  std::filesystem::path state_dir;               // holds coordinator.db
  std::vector<std::filesystem::path> run_roots;  // run folders must lie below one of them; empty: anywhere
  // What a spec names for reading must lie below one of these or of run_roots; empty: anywhere.
  std::vector<std::filesystem::path> data_roots;
  std::chrono::milliseconds worker_lost_after{5000};
  std::chrono::milliseconds reconnect_grace{10000};  // after a start nobody is declared lost
  std::chrono::milliseconds grow_interval{60000};    // between changes of a job's workers
  bool allow_inject = false;                         // fault injection
  int keep_jobs = 1000;                              // of those that have ended; the oldest are forgotten
  std::chrono::hours keep_for{0};                    // after their end; 0: for ever
};

// Thread-safe.
class Server {
 public:
  // Throws Error: port taken, state_dir locked by another coordinator or not usable.
  static std::unique_ptr<Server> start(const ServerOptions& options);
  virtual ~Server() = default;  // stops

  virtual std::string grpc_address() const = 0;  // HOST:PORT, ready for clients
  virtual std::string http_address() const = 0;
  // As the RPC SubmitJob; for rank 0 of a one-command run.
  virtual v1::Job submit(const v1::JobSpec& resolved) = 0;
  virtual v1::Job cancel(const std::string& job_id, std::chrono::seconds grace) = 0;
  virtual v1::Job job(const std::string& job_id) const = 0;
  // Waits until the job's state is final, or the time is over (then nothing).
  virtual std::optional<v1::Job> wait(const std::string& job_id, std::chrono::milliseconds timeout) = 0;
  // Tells every agent to end with status 0 and waits until they have left (or the time is over).
  virtual void dismiss_workers(std::chrono::milliseconds timeout) = 0;
  // Takes up certificates and tokens anew that have changed on disk; happens once a second by itself.
  virtual void reload() = 0;
  virtual void stop() = 0;
};

}  // namespace mdgen::coordinator
