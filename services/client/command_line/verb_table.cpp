#include "services/client/command_line/verb_table.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace mdgen::client {
namespace {

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1e3));
}

}  // namespace

const std::vector<Chapter>& chapters() {
  static const std::vector<Chapter> all = {spec_chapter(), watching_chapter(), control_chapter(),
                                           pool_chapter(), files_chapter(),    own_chapter()};
  return all;
}

const std::vector<GroupHelp>& verb_groups() {
  static const std::vector<GroupHelp> groups = {
      {"checkpoints", "list, check, compare, remove, export or import what a run has written"},
      {"ledger", "which samples a run has used"},
      {"data", "check the data set of a job"}};
  return groups;
}

CLI::Option* add_job(CLI::App& app, Options& options) {
  return app.add_option("JOB", options.job, "the job's id, or its name if only one has it")
      ->required()
      ->type_name(kJobType);
}

CLI::Option* add_job_or_folder(CLI::App& app, Options& options) {
  return app.add_option("JOB", options.job, "a job, its run folder, or a checkpoint's folder")
      ->required()
      ->type_name(kJobOrFolderType);
}

std::string value_text(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string type = option.get_type_name();  // "WHICH:{raw,ema}" of those that choose
  const std::size_t open = type.find('{');
  if (open == std::string::npos) return type;
  std::string choices = type.substr(open + 1, type.find('}') - open - 1);
  std::replace(choices.begin(), choices.end(), ',', '|');
  return choices;
}

CLI::Validator at_least(double low) {
  return CLI::Validator(
      [low](const std::string& text) {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && number >= low && number <= 1e15) return std::string();
        return "\"" + text + "\" is not a number of at least " + fmt::format("{}", low);
      },
      "");
}

void add_reconnect_for(CLI::App& app, Options& options) {
  app.add_option_function<double>(
         "--reconnect-for", [&options](double s) { options.reconnect_for = milliseconds_of(s); },
         "seconds without the coordinator after which the connection counts as lost (default: 60)")
      ->check(at_least(0))
      ->type_name("SECONDS");
}

void add_patience(CLI::App& app, Options& options, const std::string& interval_default) {
  add_reconnect_for(app, options);
  app.add_option_function<double>(
         "--interval", [&options](double s) { options.interval = milliseconds_of(s); },
         "seconds between two looks (default: " + interval_default + ")")
      ->check(at_least(0.05))
      ->type_name("SECONDS");
}

}  // namespace mdgen::client
