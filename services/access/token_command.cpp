#include "services/access/token_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "core/base/command_line.h"
#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/utc.h"
#include "services/access/access.h"
#include "services/access/tokens.h"

namespace mdgen::access {
namespace {

struct Options {
  std::filesystem::path state_dir;
  std::filesystem::path tokens;
  std::string name;
  std::string role = "viewer";
  std::string expires;
  std::string certificate;
};

std::filesystem::path file_of(const Options& options) {
  if (!options.tokens.empty()) return options.tokens;
  if (options.state_dir.empty())
    throw Error(ErrorCode::kInvalidArgument, "give --state_dir, or --tokens with the file's name");
  std::filesystem::create_directories(options.state_dir);
  return options.state_dir / kTokensFile;
}

void add(const Options& options) {
  const auto role = role_from_name(options.role);
  const Moment now = std::chrono::system_clock::now();
  TokenEntry entry{.name = options.name, .role = role.value()};
  const std::string token = options.certificate.empty() ? make_token() : "";
  if (token.empty()) {
    entry.certificate = options.certificate;
  } else {
    entry.sha256 = sha256_hex(token);
  }
  if (!options.expires.empty()) entry.expires = parse_moment(options.expires, now);
  if (entry.is_expired(now)) throw Error(ErrorCode::kInvalidArgument, "--expires is in the past");
  const auto file = file_of(options);
  change_tokens(file, [&](TokenTable& table) { table.add(entry); });
  if (!token.empty()) std::printf("%s\n", token.c_str());
  std::fprintf(stderr, "%s is a %s now, in %s%s\n", entry.name.c_str(), role_name(entry.role), file.c_str(),
               token.empty() ? "" : "; the token is shown this once and kept nowhere");
}

void list(const Options& options) {
  const TokenTable table = read_tokens(file_of(options));
  const Moment now = std::chrono::system_clock::now();
  std::printf("%-24s %-10s %-24s %s\n", "NAME", "ROLE", "ID", "EXPIRES");
  for (const TokenEntry& one : table.entries()) {
    const std::string end = one.expires ? utc_text(*one.expires) : "never";
    std::printf("%-24s %-10s %-24s %s%s\n", one.name.c_str(), role_name(one.role), one.id().c_str(),
                end.c_str(), one.is_expired(now) ? " (expired)" : "");
  }
}

void remove(const Options& options) {
  int count = 0;
  change_tokens(file_of(options), [&](TokenTable& table) {
    count = table.remove(options.name);
    if (count == 0)
      throw Error(ErrorCode::kNotFound,
                  "there is no name or id \"" + options.name + "\"; `token list` shows them");
  });
  std::fprintf(stderr, "removed %d\n", count);
}

}  // namespace

int run_token_command(int argc, char** argv) {
  CLI::App app{"Who may talk to a coordinator: its tokens file. A running coordinator takes changes at once.",
               "mdgen-coordinator token"};
  app.require_subcommand(1);
  Options options;
  const auto sub = [&](const char* name, const char* help) {
    CLI::App* verb = app.add_subcommand(name, help);
    verb->add_option("--state_dir,--state-dir", options.state_dir,
                     "the coordinator's; the file is tokens.yaml in it");
    verb->add_option("--tokens", options.tokens, "another file, as the coordinator's --tokens");
    return verb;
  };
  CLI::App* adding = sub("add", "make a token (printed once) or enter a certificate");
  adding->add_option("name", options.name, "whose; it becomes the owner of the jobs submitted with it")
      ->required();
  adding->add_option("--role", options.role, "what it may do")
      ->check(CLI::IsMember({"viewer", "submitter", "admin", "worker"}))
      ->capture_default_str();
  adding->add_option("--expires", options.expires,
                     "2027-01-31, 2027-01-31T12:00:00Z, 90d or 12h (default: never)");
  adding->add_option("--certificate", options.certificate,
                     "no token, but the common name of a certificate (--tls_client_ca)");
  CLI::App* listing = sub("list", "names, roles, ids and expiry; never a token");
  CLI::App* removing = sub("rm", "take a name, or one of its tokens by id, away");
  removing->add_option("name", options.name, "a name or an id, as `token list` shows them")->required();
  if (const auto status = parse_command_line(app, argc, argv)) return *status;
  try {
    if (adding->parsed()) add(options);
    if (listing->parsed()) list(options);
    if (removing->parsed()) remove(options);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "mdgen-coordinator token: %s\n", error.what());
    return error.code() == ErrorCode::kInvalidArgument ? 2 : 1;
  }
}

}  // namespace mdgen::access
