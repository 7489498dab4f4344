#include "core/train/initial_checkpoint.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/dtype.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

using checkpoint::Portable;
using checkpoint::PortableTensor;
using checkpoint::PortableTensors;

constexpr const char* kMismatch = "CheckpointMismatch";

at::Tensor to_tensor(const std::string& name, const PortableTensor& source) {
  at::Tensor tensor = at::empty(source.shape, checkpoint::dtype_of(name, source.dtype));
  if (tensor.nbytes() != source.data.size()) {
    throw Error(ErrorCode::kInternal, "tensor " + name + " was not read whole");
  }
  if (!source.data.empty()) std::memcpy(tensor.data_ptr(), source.data.data(), source.data.size());
  return tensor;
}

std::map<std::string, at::Tensor> to_tensors(const PortableTensors& sources) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, source] : sources) tensors.emplace(name, to_tensor(name, source));
  return tensors;
}

std::string note_of(const Portable& portable, const v1::JobSpec& spec, std::int64_t step) {
  std::string note = "started from " + portable.source + ": " + std::to_string(portable.epochs_done) +
                     " epochs and " + std::to_string(portable.optimizer_steps) +
                     " optimizer steps done; goes on after step " + std::to_string(step) + " of its own plan";
  if (spec.optim().ema() && portable.ema_decay && *portable.ema_decay != spec.optim().ema_decay()) {
    note += "; its moving average was kept with decay " + std::to_string(*portable.ema_decay) + ", now " +
            std::to_string(spec.optim().ema_decay());
  }
  if (!spec.optim().ema() && !portable.ema.empty())
    note += "; its moving average is left behind (optim.ema is off)";
  return note;
}

}  // namespace

std::int64_t first_step(const Portable& portable, const std::string& plan_digest,
                        std::int64_t steps_per_epoch) {
  if (!portable.is_lightning && !portable.plan_digest.empty() && portable.plan_digest == plan_digest) {
    return portable.step;
  }
  return portable.epochs_done * steps_per_epoch +
         std::clamp<std::int64_t>(portable.epoch_steps, 0, steps_per_epoch - 1);
}

checkpoint::TrainState train_state_of(const Portable& portable) {
  checkpoint::TrainState state;
  state.model = to_tensors(portable.model);
  state.ema = to_tensors(portable.ema);
  state.optimizer = to_tensors(portable.optimizer);
  return state;
}

std::filesystem::path check_initial_checkpoint(const v1::JobSpec& spec) {
  const std::string& path = spec.checkpoint().ckpt();
  const Portable portable = checkpoint::read_portable(path, checkpoint::Contents::kHeaders, &spec);
  const std::vector<std::string> problems = checkpoint::misfits(portable, spec);
  if (problems.empty()) return portable.source;
  throw RunFailure(ErrorCode::kFailedPrecondition, kMismatch,
                   "checkpoint.ckpt = " + path + " cannot be started from: " + join(problems, "; "));
}

InitialStart load_initial_checkpoint(const std::filesystem::path& path, const v1::JobSpec& spec,
                                     const std::string& plan_digest, std::int64_t steps_per_epoch,
                                     std::int64_t total_steps, RunState& state) {
  const Portable portable = checkpoint::read_portable(path, checkpoint::Contents::kAll, &spec);
  const std::int64_t step = first_step(portable, plan_digest, steps_per_epoch);
  if (step >= total_steps && !spec.loop().validate()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, kMismatch,
                     portable.source + " is at step " + std::to_string(step) +
                         " of this run's plan, which has " + std::to_string(total_steps) +
                         ": raise epochs or max_steps");
  }
  checkpoint::TrainState saved = train_state_of(portable);
  saved.summary.step = step;
  saved.summary.epoch = std::max<std::int64_t>(0, step - 1) / steps_per_epoch;
  if (!spec.optim().ema()) saved.ema.clear();
  state.restore(saved);
  return {step, note_of(portable, spec, step)};
}

}  // namespace mdgen::train
