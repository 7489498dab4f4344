#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void declare_completion(CLI::App& app, Options& options) {
  app.add_option("SHELL", options.shell, "bash, zsh or fish")
      ->required()
      ->type_name("SHELL")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

void declare_help(CLI::App& app, Options& options) {
  app.add_option("VERB", options.names, "which; none: all of them")->type_name("VERB");
  // For docs/cli.md alone.
  app.add_flag("--markdown", options.markdown, "the reference in docs/cli.md")->group("");
}

}  // namespace

Chapter own_chapter() {
  return {"mdgenctl itself",
          {{.name = "completion",
            .help = "print the script by which a shell completes verbs, options, jobs and workers",
            .run = &print_completion,
            .declare = &declare_completion,
            .notes = "Jobs and workers are asked from the coordinator, for a second at most.",
            .examples = "completion bash > ~/.local/share/bash-completion/completions/mdgenctl\n"
                        "completion zsh > \"${fpath[1]}/_mdgenctl\"\n"
                        "completion fish > ~/.config/fish/completions/mdgenctl.fish"},
           {.name = "help",
            .help = "explain a verb, with examples",
            .run = &help,
            .declare = &declare_help,
            .examples = "help submit\nhelp checkpoints export"},
           {.name = "version", .help = "print the version", .run = &print_version}}};
}

}  // namespace mdgen::client
