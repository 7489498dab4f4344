#include "services/client/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/config/schema.h"
#include "services/client/command_line.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

constexpr std::chrono::milliseconds kAnswerWithin{1000};
constexpr int kMostJobs = 200;

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

bool is_hidden(const CLI::Option& option) { return option.get_group().empty(); }

// Of the verb or, as CLI11 falls through, of what is above it.
const CLI::Option* find_option(const CLI::App& app, const std::string& name) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent())
    if (const CLI::Option* option = at->get_option_no_throw(name)) return option;
  return nullptr;
}

std::vector<std::string> choices_of(const std::string& type) {
  const std::size_t open = type.find('{');
  if (open == std::string::npos) return {};
  std::vector<std::string> choices;
  std::string inside = type.substr(open + 1, type.find('}') - open - 1);
  for (std::size_t at = 0; at <= inside.size();) {
    const std::size_t comma = std::min(inside.find(',', at), inside.size());
    choices.push_back(inside.substr(at, comma - at));
    at = comma + 1;
  }
  return choices;
}

void add_values(Completion& into, const CLI::Option& option, const std::string& prefix) {
  const std::string type = option.get_type_name();
  for (const std::string& choice : choices_of(type)) into.candidates.push_back({prefix + choice, ""});
  into.wants_jobs |= type == kJobType || type == kJobOrFolderType;
  into.wants_workers |= type == kWorkerType;
  into.wants_files |= type == kFileType;
  into.wants_folders |= type == kFolderType || type == kJobOrFolderType;
}

void add_options(Completion& into, const CLI::App& app) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      if (option->get_positional() || is_hidden(*option)) continue;
      for (const std::string& name : option->get_lnames())
        into.candidates.push_back({"--" + name, option->get_description()});
      if (option->get_lnames().empty())
        for (const std::string& name : option->get_snames())
          into.candidates.push_back({"-" + name, option->get_description()});
    }
  }
}

void add_verbs(Completion& into, const CLI::App& app) {
  for (const CLI::App* verb :
       app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); }))
    into.candidates.push_back({verb->get_name(), verb->get_description()});
}

void add_spec_flags(Completion& into) {
  for (const config::Field& field : config::Schema::get().fields())
    into.candidates.push_back({"--" + field.flag, field.rules.help()});
}

// Where the words before the last have led to.
struct Place {
  const CLI::App* app;
  const CLI::Option* open = nullptr;  // an option that waits for its value
  std::size_t positionals = 0;        // given already
  bool after_dashes = false;
};

Place walk(const CommandTree& tree, const std::vector<std::string>& words) {
  Place place{.app = &tree.app()};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (place.open != nullptr) {
      place.open = nullptr;
    } else if (word == "--") {
      place.after_dashes = true;
      break;
    } else if (word.starts_with("-")) {
      const CLI::Option* option = word.find('=') == word.npos ? find_option(*place.app, word) : nullptr;
      if (option != nullptr && takes_value(*option)) place.open = option;
    } else if (const auto subs =
                   place.app->get_subcommands([&](const CLI::App* one) { return one->check_name(word); });
               !subs.empty()) {
      place.app = subs.front();
      place.positionals = 0;
    } else {
      ++place.positionals;
    }
  }
  return place;
}

const CLI::Option* positional_at(const CLI::App& app, std::size_t index) {
  const auto all = app.get_options([](const CLI::Option* option) { return option->get_positional(); });
  if (all.empty()) return nullptr;
  if (index < all.size()) return all[index];
  return all.back()->get_items_expected_max() > 1 ? all.back() : nullptr;
}

void keep_matching(Completion& completion, const std::string& word) {
  std::erase_if(completion.candidates, [&](const Candidate& one) { return !one.value.starts_with(word); });
}

Completion complete_help(const CommandTree& tree, const std::vector<std::string>& words) {
  Completion completion;
  const auto verb = std::find(words.begin(), words.end(), "help");
  if (const CLI::App* app = tree.find({verb + 1, words.end() - 1})) add_verbs(completion, *app);
  keep_matching(completion, words.back());
  return completion;
}

void add_jobs(Completion& into, JobApi& api, const std::string& word) {
  v1::ListJobsRequest request;
  request.set_page_size(kMostJobs);
  const v1::ListJobsResponse jobs = api.list(request);
  std::map<std::string, int> counts;
  for (const v1::Job& job : jobs.jobs()) ++counts[job.name()];
  for (const v1::Job& job : jobs.jobs()) {
    const bool by_id = counts[job.name()] > 1 || (!word.empty() && job.id().starts_with(word));
    into.candidates.push_back(
        {by_id ? job.id() : job.name(), state_name(job.state()) + ", " + (by_id ? job.name() : job.id())});
  }
}

void add_workers(Completion& into, JobApi& api) {
  const v1::ListWorkersResponse workers = api.workers();
  for (const v1::Worker& worker : workers.workers())
    into.candidates.push_back({worker.id(), worker.host() + ", " + worker.state()});
}

// The global options that stand on the line so far.
void read_access(Options& options, const std::vector<std::string>& words) {
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    std::string name = words[i];
    std::string value = words[i + 1];
    if (const std::size_t equals = name.find('='); equals != name.npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    if (name == "--address") options.address_flag = value;
    if (name == "--ca") options.access.ca_file = value;
    if (name == "--token_file") options.access.token_file = value;
    if (name == "--cert") options.access.certificate_file = value;
    if (name == "--key") options.access.key_file = value;
  }
}

void ask_coordinator(Completion& completion, const std::vector<std::string>& words,
                     const Surroundings& world) {
  Options options;
  read_access(options, words);
  apply_configuration(options, world.variable, false);
  if (options.address.empty()) return;
  const auto api =
      world.connect({.address = options.address, .access = options.access, .answer_within = kAnswerWithin});
  if (completion.wants_jobs) add_jobs(completion, *api, words.back());
  if (completion.wants_workers) add_workers(completion, *api);
}

}  // namespace

Completion complete(const CommandTree& tree, const std::vector<std::string>& words) {
  Completion completion;
  if (words.empty()) return completion;
  const std::string& word = words.back();
  const Place place = walk(tree, words);
  if (place.app->get_name() == "help" && place.open == nullptr && !word.starts_with("-"))
    return complete_help(tree, words);
  const std::size_t equals = word.starts_with("--") ? word.find('=') : word.npos;
  if (place.after_dashes) {
    if (word.starts_with("-")) add_spec_flags(completion);
    completion.wants_files = !word.starts_with("-");
  } else if (place.open != nullptr) {
    add_values(completion, *place.open, "");
  } else if (equals != word.npos) {
    const CLI::Option* option = find_option(*place.app, word.substr(0, equals));
    if (option != nullptr) add_values(completion, *option, word.substr(0, equals + 1));
  } else if (word.starts_with("-")) {
    add_options(completion, *place.app);
  } else if (!place.app->get_subcommands([](const CLI::App*) { return true; }).empty()) {
    add_verbs(completion, *place.app);
  } else if (const CLI::Option* option = positional_at(*place.app, place.positionals)) {
    add_values(completion, *option, "");
  }
  keep_matching(completion, word);
  return completion;
}

ExitCode answer_shell(const std::vector<std::string>& words, const Surroundings& world) {
  const CommandTree tree;
  Completion completion = complete(tree, words);
  if (completion.wants_jobs || completion.wants_workers) {
    try {
      ask_coordinator(completion, words, world);
    } catch (const std::exception&) {
      // A shell's TAB is no place for errors.
    }
    keep_matching(completion, words.back());
  }
  for (const Candidate& one : completion.candidates)
    world.out << one_line(one.value) << '\t' << one_line(one.description) << '\n';
  world.out << (completion.wants_files ? ":files" : completion.wants_folders ? ":folders" : ":") << std::endl;
  return kExitOk;
}

}  // namespace mdgen::client
