// The table of verbs as a CLI11 application.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {

class CommandTree {
 public:
  CommandTree();
  CommandTree(const CommandTree&) = delete;  // its options write into `options`
  CommandTree& operator=(const CommandTree&) = delete;

  CLI::App& app() { return app_; }
  const CLI::App& app() const { return app_; }
  // The application of a verb ("checkpoints ls" as two words); nullptr when there is none.
  const CLI::App* find(const std::vector<std::string>& words) const;
  // Of an application that find() gave; nullptr for a group and for the whole.
  const Verb* verb_of(const CLI::App& app) const;

  Options options;
  const Verb* chosen = nullptr;  // after parsing

 private:
  void add_global_options();
  void add(const Chapter& chapter, const Verb& verb);
  CLI::App& parent_of(const Chapter& chapter, const std::string& name);

  CLI::App app_;
  std::vector<std::pair<const CLI::App*, const Verb*>> verbs_;
};

}  // namespace mdgen::client
