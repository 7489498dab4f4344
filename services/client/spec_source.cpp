#include "services/client/spec_source.h"

#include <sstream>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::client {
namespace {

std::string read_spec_text(const std::string& file, const Surroundings& world) {
  if (file != "-") return read_file(world.current_folder / file);
  std::stringstream text;
  text << world.in.rdbuf();
  return text.str();
}

}  // namespace

config::Resolved resolved_spec(const Options& options, const Surroundings& world,
                               const config::JobSpec& base) {
  try {
    config::JobSpec spec = base;
    if (!options.file.empty()) {
      const std::string source = options.file == "-" ? "standard input" : options.file;
      spec.MergeFrom(config::parse_yaml(read_spec_text(options.file, world), source));
    }
    config::apply_flags(spec, options.flags);
    for (const std::string& assignment : options.assignments) config::apply_assignment(spec, assignment);
    return config::resolve(std::move(spec), world.current_folder);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

}  // namespace mdgen::client
