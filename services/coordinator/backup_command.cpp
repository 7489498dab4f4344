#include "services/coordinator/backup_command.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "services/coordinator/backup.h"

namespace mdgen::coordinator {
namespace {

int carried_out(const std::function<void()>& work) {
  ::umask(0077);
  try {
    work();
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "mdgen-coordinator: %s\n", error.what());
    return error.code() == ErrorCode::kInvalidArgument ? kExitUsage : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdgen-coordinator: %s\n", error.what());
    return 1;
  }
}

void print(const char* done, const std::filesystem::path& where, const BackupFacts& facts) {
  std::printf("%s=%s jobs=%lld unfinished=%lld epoch=%lld bytes=%lld secrets=%s\n", done, where.c_str(),
              static_cast<long long>(facts.jobs), static_cast<long long>(facts.unfinished),
              static_cast<long long>(facts.epoch), static_cast<long long>(facts.bytes),
              facts.secrets ? "yes" : "no");
}

int backup_command(int argc, const char* const* argv) {
  CLI::App app{"Writes the store of a coordinator, which may be running, into one file.",
               "mdgen-coordinator backup"};
  std::filesystem::path state_dir, file;
  bool with_secrets = false;
  app.add_option("--state_dir,--state-dir", state_dir, "the coordinator's state folder")->required();
  app.add_option("--to", file, "the new file")->required();
  app.add_flag("--with_secrets,--with-secrets", with_secrets,
               "also the certificate, its key and the tokens: who has the file then has the coordinator");
  if (const auto status = parse_command_line(app, argc, argv)) return *status;
  return carried_out([&] {
    print("backup", file, back_up(state_dir, file, with_secrets, std::chrono::system_clock::now()));
  });
}

int restore_command(int argc, const char* const* argv) {
  CLI::App app{
      "Makes a state folder of a backup. Start the coordinator on it afterwards: unfinished jobs go on from "
      "their newest checkpoints.",
      "mdgen-coordinator restore"};
  std::filesystem::path state_dir, file;
  app.add_option("--from", file, "the backup")->required();
  app.add_option("--state_dir,--state-dir", state_dir, "the new state folder: empty, or not there yet")
      ->required();
  if (const auto status = parse_command_line(app, argc, argv)) return *status;
  return carried_out(
      [&] { print("restored", state_dir, restore(file, state_dir, std::chrono::system_clock::now())); });
}

}  // namespace

std::optional<int> store_command(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "backup") return backup_command(argc - 1, argv + 1);
  if (verb == "restore") return restore_command(argc - 1, argv + 1);
  return std::nullopt;
}

}  // namespace mdgen::coordinator
