#include <spdlog/fmt/fmt.h>

#include <filesystem>

#include "core/checkpoint/compare.h"
#include "core/config/json.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

using checkpoint::Comparison;
using checkpoint::TensorDifference;

checkpoint::Portable read(const std::string& named, const Options& options, const Surroundings& world) {
  const fs::path file = world.current_folder / named;
  if (fs::is_regular_file(file)) return checkpoint::read_portable(file, checkpoint::Contents::kAll);
  Options one = options;
  one.job = named;
  return checkpoint::read_portable(named_folder(one, world), checkpoint::Contents::kAll);
}

std::string line_of(const TensorDifference& one) {
  const std::string head = one.set + "  " + one.name + "  ";
  if (!one.problem.empty()) return head + one.problem;
  return head + fmt::format("max abs {:.3g}, max rel {:.3g}, {} of {} differ", one.max_absolute,
                            one.max_relative, one.differing, one.elements);
}

config::Json json_of(const TensorDifference& one) {
  config::Json json = {{"set", one.set}, {"name", one.name}};
  if (!one.problem.empty()) {
    json["problem"] = one.problem;
    return json;
  }
  json["max_absolute"] = one.max_absolute;
  json["max_relative"] = one.max_relative;
  json["differing"] = one.differing;
  json["elements"] = one.elements;
  return json;
}

}  // namespace

ExitCode diff_checkpoints(const Options& options, const Surroundings& world) {
  const checkpoint::Portable a = read(options.job, options, world);
  const checkpoint::Portable b = read(options.file, options, world);
  const Comparison found = checkpoint::compare(a, b);
  if (options.output == Output::kTable) {
    world.out << a.source << '\n' << b.source << '\n';
    for (const std::string& field : found.spec) world.out << "spec  " << one_line(field) << '\n';
    for (const TensorDifference& one : found.differences) world.out << one_line(line_of(one)) << '\n';
    world.out << fmt::format("diff: {} of {} tensors differ, {} fields of the spec\n",
                             found.differences.size(), found.tensors, found.spec.size())
              << std::flush;
  } else {
    config::Json json = {{"first", a.source},
                         {"second", b.source},
                         {"tensors", found.tensors},
                         {"differences", config::Json::array()},
                         {"spec", found.spec}};
    for (const TensorDifference& one : found.differences) json["differences"].push_back(json_of(one));
    world.out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json)) << std::flush;
  }
  return found.equal() ? kExitOk : kExitFailed;
}

}  // namespace mdgen::client
