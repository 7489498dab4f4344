#include "services/client/command_line/command_tree.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

namespace mdgen::client {
namespace {

std::string footer_of(const Verb& verb) {
  std::string text = verb.notes;
  if (verb.examples.empty()) return text;
  text += std::string(text.empty() ? "" : "\n\n") + "Examples:";
  std::istringstream lines(verb.examples);
  for (std::string line; std::getline(lines, line);) text += "\n  mdgenctl " + line;
  return text;
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string value = option->get_positional() ? "" : value_text(*option);
    return (value.empty() ? "" : " " + value) + (option->get_required() ? " (required)" : "");
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string preset = option->get_default_str();
    return option->get_description() + (preset.empty() ? "" : " (default: " + preset + ")");
  }
};

std::string last_word(const std::string& name) { return name.substr(name.rfind(' ') + 1); }

}  // namespace

CommandTree::CommandTree()
    : app_("Talks to the MDGen coordinator: submits jobs, shows how they are, changes them.", "mdgenctl") {
  app_.require_subcommand(0, 1);
  app_.fallthrough();
  app_.formatter(std::make_shared<HelpFormatter>());
  add_global_options();
  for (const Chapter& chapter : chapters())
    for (const Verb& verb : chapter.verbs) add(chapter, verb);
  app_.footer(
      "The address comes from --address, else MDGEN_ADDRESS, else the key `address` of\n"
      "~/.config/mdgen/config.yaml (keys: address, ca, token_file, output).\n\n"
      "Exit codes: 0 done or SUCCEEDED, 1 refused by the server or FAILED, 2 usage or refused spec,\n"
      "3 CANCELLED, 4 connection lost, 75 come again.\n\n"
      "mdgenctl help VERB explains a verb with examples.");
}

void CommandTree::add_global_options() {
  app_.set_version_flag("--version", std::string("mdgenctl ") + MDGEN_VERSION);
  app_.add_option("--address", options.address_flag,
                  "the coordinator (default: MDGEN_ADDRESS, then the configuration)")
      ->type_name("HOST:PORT");
  app_.add_option("--ca", options.access.ca_file,
                  "its certificate, PEM (default: MDGEN_CA, then the configuration)")
      ->type_name(kFileType);
  app_.add_option("--token_file", options.access.token_file,
                  "holds the token for it (default: MDGEN_TOKEN, then the configuration)")
      ->type_name(kFileType);
  app_.add_option("--cert", options.access.certificate_file,
                  "a certificate of one's own, PEM, where it is asked for (default: MDGEN_CERT)")
      ->type_name(kFileType);
  app_.add_option("--key", options.access.key_file, "that certificate's key, PEM (default: MDGEN_KEY)")
      ->type_name(kFileType);
  app_.add_option_function<std::string>(
          "-o,--output", [this](const std::string& name) { options.output_flag = output_named(name); },
          "the form of the answer (default: table)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  app_.add_option("--color", options.color, "colours; auto: on terminals without NO_COLOR")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app_.add_flag("-q,--quiet", options.quiet, "no word on what could be next");
}

CLI::App& CommandTree::parent_of(const Chapter& chapter, const std::string& name) {
  const std::size_t space = name.find(' ');
  if (space == std::string::npos) return app_;
  const std::string group = name.substr(0, space);
  const auto known = app_.get_subcommands([&](CLI::App* one) { return one->get_name() == group; });
  if (!known.empty()) return *known.front();
  const auto& groups = verb_groups();
  const auto found =
      std::find_if(groups.begin(), groups.end(), [&](const GroupHelp& one) { return one.name == group; });
  CLI::App* app = app_.add_subcommand(group, found->help);
  app->group(chapter.title);
  app->require_subcommand(1);
  return *app;
}

void CommandTree::add(const Chapter& chapter, const Verb& verb) {
  CLI::App& parent = parent_of(chapter, verb.name);
  CLI::App* app = parent.add_subcommand(last_word(verb.name), verb.help);
  app->group(&parent == &app_ ? chapter.title : "Verbs");
  if (!verb.alias.empty()) app->alias(verb.alias);
  if (verb.declare) verb.declare(*app, options);
  app->footer(footer_of(verb));
  app->callback([this, &verb] { chosen = &verb; });
  verbs_.emplace_back(app, &verb);
}

const CLI::App* CommandTree::find(const std::vector<std::string>& words) const {
  const CLI::App* at = &app_;
  for (const std::string& word : words) {
    const auto matches = at->get_subcommands([&](const CLI::App* one) { return one->check_name(word); });
    if (matches.empty()) return nullptr;
    at = matches.front();
  }
  return at;
}

const Verb* CommandTree::verb_of(const CLI::App& app) const {
  const auto found =
      std::find_if(verbs_.begin(), verbs_.end(), [&](const auto& one) { return one.first == &app; });
  return found == verbs_.end() ? nullptr : found->second;
}

}  // namespace mdgen::client
