#include "services/client/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/error.h"
#include "services/client/command_line/command_tree.h"
#include "services/client/completion.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

// Takes what stands after "--" out of the arguments.
std::vector<std::string> take_flags(std::vector<std::string>& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes == arguments.end()) return {};
  std::vector<std::string> flags(dashes + 1, arguments.end());
  arguments.erase(dashes, arguments.end());
  return flags;
}

ExitCode refuse_usage(const Surroundings& world, const std::string& text) {
  world.err << "mdgenctl: " << one_line(text) << "; mdgenctl --help lists verbs and options" << std::endl;
  return kExitUsage;
}

bool takes_no_configuration(const Verb& verb) {
  return verb.run == &help || verb.run == &print_completion || verb.run == &print_version;
}

ExitCode run_verb(CommandTree& tree, const Surroundings& world) {
  Options& options = tree.options;
  const bool following = tree.chosen->run == &watch || (tree.chosen->run == &submit && options.follow);
  try {
    if (!takes_no_configuration(*tree.chosen)) {
      // Scripts read the first line of a plain submit.
      apply_configuration(options, world.variable, tree.chosen->run != &submit);
    }
    return tree.chosen->run(options, world);
  } catch (const UsageError& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return kExitUsage;
  } catch (const Error& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return exit_of_refusal(error.code(), following);
  } catch (const std::exception& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return kExitFailed;
  }
}

}  // namespace

void apply_configuration(Options& options, const Variable& variable, bool with_output) {
  const ClientConfig config = load_config(variable);
  options.address = options.address_flag;
  if (options.address.empty()) options.address = variable("MDGEN_ADDRESS");
  if (options.address.empty()) options.address = config.address;
  if (options.access.ca_file.empty() && variable("MDGEN_CA").empty()) options.access.ca_file = config.ca;
  if (options.access.token_file.empty() && variable("MDGEN_TOKEN").empty())
    options.access.token_file = config.token_file;
  options.output =
      options.output_flag.value_or(with_output ? config.output.value_or(Output::kTable) : Output::kTable);
}

ExitCode run_client(std::vector<std::string> arguments, const Surroundings& world) {
  if (!arguments.empty() && arguments.front() == kCompleteVerb)
    return answer_shell({arguments.begin() + 1, arguments.end()}, world);
  CommandTree tree;
  tree.options.flags = take_flags(arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    tree.app().parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return tree.app().exit(error, world.out, world.err), kExitOk;
    return refuse_usage(world, error.what());
  }
  if (tree.chosen == nullptr) return refuse_usage(world, "a verb is missing");
  if (!tree.options.flags.empty() && !tree.chosen->takes_flags)
    return refuse_usage(world, "only submit, validate and balance take flags after --");
  return run_verb(tree, world);
}

}  // namespace mdgen::client
