// help, version, and the reference in docs/cli.md.
#include <CLI/CLI.hpp>
#include <sstream>

#include "core/base/error.h"
#include "core/config/schema.h"
#include "services/client/command_line/command_tree.h"

namespace mdgen::client {
namespace {

// A "|" in a table's cell.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

bool is_flag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

std::string usage_of(const CLI::App& app, const Verb& verb) {
  std::string text = "mdgenctl " + verb.name;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      const std::string name = option->get_name(true) + (option->get_items_expected_max() > 1 ? "…" : "");
      text += option->get_required() ? " " + name : " [" + name + "]";
    }
  }
  text += " [options]";
  return verb.takes_flags ? text + " [-- flags]" : text;
}

std::string options_table(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty() || option == app.get_help_ptr()) continue;
    std::string name = option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    for (std::size_t at = 0; (at = name.find(',', at)) != std::string::npos; at += 2)
      name.insert(at + 1, " ");
    if (!is_flag(*option) && !option->get_positional()) name += " " + value_text(*option);
    std::string help = option->get_description();
    if (!option->get_default_str().empty()) help += " (default: " + option->get_default_str() + ")";
    text += "| `" + cell(name) + "` | " + cell(help) + " |\n";
  }
  return text.empty() ? text : "\n| | |\n|---|---|\n" + text;
}

std::string examples_of(const Verb& verb) {
  if (verb.examples.empty()) return "";
  std::string text = "\n```sh\n";
  std::istringstream lines(verb.examples);
  for (std::string line; std::getline(lines, line);) text += "mdgenctl " + line + "\n";
  return text + "```\n";
}

std::string markdown_of(const CommandTree& tree, const Verb& verb) {
  std::vector<std::string> words;
  std::istringstream name(verb.name);
  for (std::string word; name >> word;) words.push_back(word);
  const CLI::App& app = *tree.find(words);
  std::string text = "\n### `" + verb.name + "`\n\n`" + usage_of(app, verb) + "`: " + verb.help + ".\n";
  if (!verb.alias.empty()) text += "Also `" + verb.alias + "`.\n";
  if (!verb.notes.empty()) text += "\n" + verb.notes + "\n";
  return text + options_table(app) + examples_of(verb);
}

std::string markdown(const CommandTree& tree) {
  std::string text = "\n## Options of every verb\n" + options_table(tree.app());
  for (const Chapter& chapter : chapters()) {
    text += "\n## " + chapter.title + "\n";
    for (const Verb& verb : chapter.verbs) text += markdown_of(tree, verb);
  }
  return text;
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(one->get_name());
  return names;
}

}  // namespace

ExitCode help(const Options& options, const Surroundings& world) {
  const CommandTree tree;
  if (options.markdown) {
    world.out << markdown(tree) << std::flush;
    return kExitOk;
  }
  const CLI::App* app = tree.find(options.names);
  if (app == nullptr) {
    std::string name;
    for (const std::string& word : options.names) name += (name.empty() ? "" : " ") + word;
    throw UsageError("there is no verb \"" + name + "\"" +
                     config::did_you_mean(name, verb_names(tree.app())));
  }
  std::string above;  // CLI11 adds the application's own name
  for (std::size_t i = 0; i < options.names.size(); ++i)
    above += (i == 0 ? "mdgenctl" : " " + options.names[i - 1]);
  world.out << app->help(above) << std::flush;
  return kExitOk;
}

ExitCode print_version(const Options&, const Surroundings& world) {
  world.out << "mdgenctl " << MDGEN_VERSION << '\n';
  return kExitOk;
}

}  // namespace mdgen::client
