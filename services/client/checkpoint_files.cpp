#include <filesystem>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/checkpoint/lightning.h"
#include "core/checkpoint/portable.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

using checkpoint::Portable;
using checkpoint::Weights;

void print(const config::Json& json, const std::string& table, const Options& options, std::ostream& out) {
  if (options.output == Output::kTable)
    out << table;
  else
    out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json));
  out << std::flush;
}

void warn(const Portable& portable, const Surroundings& world) {
  for (const std::string& note : portable.notes) world.err << "warning: " << note << '\n';
}

// What was trained, as its Namespace said; the run that goes on from it is named anew by who submits it.
std::string spec_text(const Portable& portable, const fs::path& start) {
  v1::JobSpec spec = portable.spec;
  spec.mutable_checkpoint()->set_ckpt(start.string());
  return config::to_yaml(spec);
}

}  // namespace

ExitCode export_checkpoint(const Options& options, const Surroundings& world) {
  const fs::path file = world.current_folder / options.out;
  const Weights weights = options.weights == "ema" ? Weights::kEma : Weights::kRaw;
  const Portable portable =
      checkpoint::read_portable(named_folder(options, world), checkpoint::Contents::kAll);
  checkpoint::write_lightning(portable, file, weights);
  warn(portable, world);
  const bool resumes = weights == Weights::kRaw && !portable.optimizer.empty();
  const std::string content = weights == Weights::kEma ? "the moving average's weights; to sample from"
                              : resumes                ? "raw weights, " +
                                              std::string(portable.ema.empty() ? "" : "moving average, ") +
                                              "optimizer; to train on"
                                        : "raw weights; to sample from";
  print({{"file", file.string()},
         {"source", portable.source},
         {"weights", options.weights},
         {"optimizer_steps", portable.optimizer_steps},
         {"epochs_done", portable.epochs_done},
         {"resumable", resumes}},
        file.string() + "  " + std::to_string(portable.optimizer_steps) + " optimizer steps, " +
            std::to_string(portable.epochs_done) + " epochs: " + content + "\n",
        options, world.out);
  return kExitOk;
}

ExitCode import_checkpoint(const Options& options, const Surroundings& world) {
  const fs::path file = world.current_folder / options.file;
  if (!fs::is_regular_file(file)) throw UsageError("there is no file " + file.string());
  const fs::path folder = fs::weakly_canonical(world.current_folder / options.out);
  const Portable portable = checkpoint::read_portable(file, checkpoint::Contents::kAll);
  if (!portable.has_spec) {
    throw Error(
        ErrorCode::kInvalidArgument,
        file.string() + " holds no hyper_parameters, so its model is not known; train on with --ckpt");
  }
  if (const std::vector<std::string> problems = checkpoint::own_misfits(portable); !problems.empty()) {
    throw Error(ErrorCode::kDataLoss, file.string() + " does not fit its own flags: " + join(problems, "; "));
  }
  const fs::path written = checkpoint::write_folder(portable, folder);
  replace_file(folder / "spec.yaml", spec_text(portable, written));
  warn(portable, world);
  print({{"checkpoint", written.string()},
         {"spec", (folder / "spec.yaml").string()},
         {"weights", checkpoint::weights_name(portable.weights)},
         {"optimizer_steps", portable.optimizer_steps},
         {"epochs_done", portable.epochs_done},
         {"notes", portable.notes}},
        written.string() + "\n" + (folder / "spec.yaml").string() + "\n", options, world.out);
  return kExitOk;
}

}  // namespace mdgen::client
