#include "launcher/command.h"

#include <algorithm>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::launcher {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

// The value of `--name value` or `--name=value` at words[at], which is moved on; nothing when it is another
// word.
std::optional<std::string> value_of(std::string_view name, std::span<const std::string> words,
                                    std::size_t& at) {
  const std::string_view word = words[at];
  if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=') {
    return std::string(word.substr(name.size() + 1));
  }
  if (word != name) return std::nullopt;
  if (++at == words.size()) refuse(std::string(name) + " needs a value");
  return words[at];
}

void set_workers(v1::JobSpec& spec, int slots) {
  v1::WorkerRange& workers = *spec.mutable_workers();
  if (!workers.has_max()) workers.set_max(slots);
  if (workers.max() > slots) {
    refuse("workers.max=" + std::to_string(workers.max()) + ", but this run has " + std::to_string(slots) +
           " workers; give -n " + std::to_string(workers.max()) + " or a smaller workers.max");
  }
  if (!workers.has_min()) workers.set_min(workers.max());
}

// A run of one command has its own workers, without labels, and no other jobs.
void refuse_pool_fields(const v1::JobSpec& spec) {
  if (!spec.workers().selector().empty())
    refuse("workers.selector = " + spec.workers().selector() +
           " is for a standing coordinator, whose workers have labels");
  if (!spec.after().empty())
    refuse("after = " + spec.after() + " is for a standing coordinator, which knows other jobs");
}

}  // namespace

SpecArguments split_spec_arguments(std::span<const std::string> words) {
  SpecArguments result;
  for (std::size_t at = 0; at < words.size(); ++at) {
    if (words[at] == "-h" || words[at] == "--help") {
      result.help = true;
    } else if (auto file = value_of("-f", words, at)) {
      result.file = *file;
    } else if (auto long_file = value_of("--file", words, at)) {
      result.file = *long_file;
    } else if (auto assignment = value_of("--set", words, at)) {
      result.assignments.push_back(*assignment);
    } else {
      result.flags.push_back(words[at]);
    }
  }
  return result;
}

Slots count_slots(const Place& place, std::optional<int> n) {
  if (place.size == 1) return {n.value_or(1), n.value_or(1)};
  if (n) {
    refuse("-n " + std::to_string(*n) + " is for a run on this host alone; " + launcher_name(place.launcher) +
           " has started " + std::to_string(place.size) + " processes, each of which is one worker");
  }
  return {place.size, 1};
}

config::Resolved resolve_spec(const SpecArguments& arguments, int slots, const std::filesystem::path& base) {
  v1::JobSpec spec;
  if (arguments.file) spec = config::parse_yaml(read_file(*arguments.file), arguments.file->string());
  config::apply_flags(spec, arguments.flags);
  for (const std::string& assignment : arguments.assignments) config::apply_assignment(spec, assignment);
  set_workers(spec, slots);
  refuse_pool_fields(spec);
  return config::resolve(std::move(spec), base);
}

}  // namespace mdgen::launcher
