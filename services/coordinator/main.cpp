#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string_view>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/service_manager.h"
#include "services/access/server_access.h"
#include "services/access/token_command.h"
#include "services/coordinator/address.h"
#include "services/coordinator/backup_command.h"
#include "services/coordinator/openapi.h"
#include "services/coordinator/server.h"

namespace {

sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Each agent is a connection, and shells often allow no more than 1024.
void allow_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_on_loopback(const char* what, const std::string& address) {
  return address.empty() || mdgen::coordinator::is_loopback(mdgen::coordinator::parse_address(what, address));
}

// TLS and tokens wherever others can come in, and where they are asked for.
void set_access(mdgen::coordinator::ServerOptions& options, mdgen::access::ServerFiles files) {
  namespace access = mdgen::access;
  const bool asked = !files.certificate.empty() || !files.key.empty() || !files.token.empty() ||
                     !files.tokens.empty() || !files.client_ca.empty() ||
                     std::filesystem::exists(options.state_dir / access::kTokensFile);
  if (asked && options.insecure)
    throw mdgen::Error(mdgen::ErrorCode::kInvalidArgument,
                       "--insecure is for a coordinator without certificate and tokens");
  const bool loopback = is_on_loopback("--listen", options.listen) && is_on_loopback("--http", options.http);
  if (options.insecure || (!asked && loopback)) return;
  options.access = access::open_server_access(files, options.state_dir, std::chrono::system_clock::now());
  access::protect_memory();
  if (options.run_roots.empty() || options.data_roots.empty())
    spdlog::warn(
        "without --run_root and --data_root jobs may name any path that this coordinator or a worker can "
        "reach");
  std::printf("access ca=%s token_file=%s\n", files.certificate.c_str(), files.token.c_str());
}

int serve(const mdgen::coordinator::ServerOptions& options) {
  // Blocked before any thread is made, so that only sigwait takes them.
  const sigset_t signals = end_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto server = mdgen::coordinator::Server::start(options);
  std::printf("ready grpc=%s http=%s\n", server->grpc_address().c_str(), server->http_address().c_str());
  std::fflush(stdout);
  mdgen::notify_service_manager("READY=1\nSTATUS=serving at " + server->grpc_address());
  int signal = SIGHUP;
  while (::sigwait(&signals, &signal) == 0 && signal == SIGHUP) server->reload();
  spdlog::info("signal {}: stopping; trainers go on", signal);
  mdgen::notify_service_manager("STOPPING=1");
  server->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && std::string_view(argv[1]) == "token")
    return mdgen::access::run_token_command(argc - 1, argv + 1);
  mdgen::init_logging("coordinator");
  if (const auto status = mdgen::coordinator::store_command(argc, argv)) return *status;
  CLI::App app{"Accepts training jobs, gives them to workers, and keeps their records."};
  app.footer("mdgen-coordinator backup --help, mdgen-coordinator restore --help: the store in one file.");
  mdgen::coordinator::ServerOptions options;
  app.set_version_flag("--version", std::string("mdgen-coordinator ") + MDGEN_VERSION);
  app.add_option("--listen", options.listen, "gRPC address, HOST:PORT; port 0: a free one")
      ->capture_default_str();
  app.add_option("--http", options.http, "HTTP address, HOST:PORT; empty: none")->capture_default_str();
  app.add_option("--state_dir,--state-dir", options.state_dir, "folder of the store, on a local disk")
      ->required();
  app.add_option("--run_root,--run-root", options.run_roots,
                 "run folders must lie below one of these (default: anywhere)");
  app.add_option(
      "--data_root,--data-root", options.data_roots,
      "what a job reads (splits, data_dir, ckpt) must lie below one of these or a --run_root, links "
      "followed (default: anywhere)");
  mdgen::access::ServerFiles access;
  app.add_option("--tls_cert,--tls-cert", access.certificate,
                 "certificate, PEM (default: none on loopback, else made and kept in the state folder)");
  app.add_option("--tls_key,--tls-key", access.key, "its private key");
  app.add_option("--token_file,--token-file", access.token,
                 "holds the token of the admin named \"admin\" (default: as for --tls_cert)");
  app.add_option(
      "--tokens", access.tokens,
      "file of names, roles and hashes of tokens; `mdgen-coordinator token --help` makes it (default: "
      "tokens.yaml in the state folder)");
  app.add_option("--tls_client_ca,--tls-client-ca", access.client_ca,
                 "clients and workers must show a certificate of this authority, PEM");
  bool open_metrics = false;
  app.add_flag("--open_metrics,--open-metrics", open_metrics, "GET /metrics needs no token");
  app.add_flag("--insecure", options.insecure,
               "listen on more than loopback without TLS and tokens: whoever reaches it is admin");
  app.add_flag("--allow_inject,--allow-inject", options.allow_inject,
               "let mdgenctl inject harm running jobs, for tests");
  double grow_interval = 60.0;
  app.add_option("--grow_interval,--grow-interval", grow_interval,
                 "seconds between two changes of a job's workers")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--keep_jobs,--keep-jobs", options.keep_jobs,
                 "jobs that have ended and are still known; older ones are forgotten, their run folders stay")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  int keep_days = 0;
  app.add_option("--keep_days,--keep-days", keep_days,
                 "days after its end that a job is still known; 0: for ever")
      ->capture_default_str()
      ->check(CLI::Range(0, 100'000));
  app.add_flag_callback(
      "--openapi",
      [] {
        std::fputs(mdgen::coordinator::openapi_yaml().c_str(), stdout);
        throw CLI::Success();
      },
      "print the HTTP API as an OpenAPI document, and end");
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  options.audit_log = options.state_dir / "audit.jsonl";
  options.keep_for = std::chrono::hours(24 * keep_days);
  options.grow_interval = std::chrono::milliseconds(static_cast<std::int64_t>(grow_interval * 1000.0));
  allow_descriptors();
  try {
    set_access(options, access);
    if (options.access) options.access->open_metrics = open_metrics;
    options.admin_socket = true;
    return serve(options);
  } catch (const mdgen::Error& error) {
    std::fprintf(stderr, "mdgen-coordinator: %s\n", error.what());
    return error.code() == mdgen::ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdgen-coordinator: %s\n", error.what());
    return 1;
  }
}
