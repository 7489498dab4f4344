// mdgenctl's verbs as a table. The command line, its help, docs/cli.md and the shells' completion follow from
// it.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "services/client/verbs.h"

namespace mdgen::client {

// The words by which option types say what they take; completion goes by them.
inline constexpr const char* kJobType = "JOB";
inline constexpr const char* kJobOrFolderType = "JOB|DIR";
inline constexpr const char* kWorkerType = "WORKER";
inline constexpr const char* kFileType = "FILE";
inline constexpr const char* kFolderType = "DIR";

struct Verb {
  std::string name;     // "list", "checkpoints ls"
  std::string alias{};  // of its last word; empty: none
  std::string help{};   // one line
  ExitCode (*run)(const Options&, const Surroundings&) = nullptr;
  std::function<void(CLI::App&, Options&)> declare{};  // its options
  std::string notes{};                                 // below them
  std::string examples{};    // a command each line, without the program's name; perhaps with "  # why"
  bool takes_flags = false;  // a spec's, after "--"
};

struct Chapter {
  std::string title;
  std::vector<Verb> verbs;
};

// What stands above the verbs of a group: "checkpoints".
struct GroupHelp {
  std::string name;
  std::string help;
};

const std::vector<Chapter>& chapters();
const std::vector<GroupHelp>& verb_groups();

// One a file.
Chapter spec_chapter();
Chapter watching_chapter();
Chapter control_chapter();
Chapter pool_chapter();
Chapter files_chapter();
Chapter own_chapter();

// Parts of declarations that several have in common.
CLI::Option* add_job(CLI::App& app, Options& options);
CLI::Option* add_job_or_folder(CLI::App& app, Options& options);
void add_patience(CLI::App& app, Options& options, const std::string& interval_default);
void add_reconnect_for(CLI::App& app, Options& options);

// What an option takes, for people: "SECONDS", "raw|ema"; empty for a flag.
std::string value_text(const CLI::Option& option);

// A number of at least `low`; CLI11's own range texts print the largest double in full.
CLI::Validator at_least(double low);

}  // namespace mdgen::client
