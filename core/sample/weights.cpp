#include "core/sample/weights.h"

#include <cstring>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/portable.h"
#include "core/checkpoint/store.h"

namespace mdgen::sample {
namespace fs = std::filesystem;
using checkpoint::Portable;
namespace {

// A run folder or a folder of checkpoints: its newest good one.
fs::path newest_below(const fs::path& source, std::vector<std::string>& notes) {
  const fs::path inside = source / "checkpoints";
  const fs::path folder = fs::is_directory(inside) ? inside : source;
  if (checkpoint::list(folder).empty())
    throw Error(ErrorCode::kNotFound, source.string() +
                                          " is neither a checkpoint (step-…-g…), nor a run folder with "
                                          "checkpoints/, nor a Lightning .ckpt file");
  const std::optional<checkpoint::Found> found = checkpoint::newest_good(folder, notes);
  if (!found)
    throw Error(ErrorCode::kDataLoss, source.string() + ": no checkpoint verifies; " + notes.front());
  return found->folder;
}

std::string digest_of(const std::map<std::string, at::Tensor>& tensors) {
  Sha256 digest;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor host = tensor.cpu().contiguous();
    digest.update(name + "\n");
    digest.update(host.data_ptr(), host.nbytes());
  }
  return digest.hex();
}

at::ScalarType dtype_of(const std::string& tensor, const std::string& name) {
  static const std::map<std::string, at::ScalarType> known = {{"F64", at::kDouble},
                                                              {"F32", at::kFloat},
                                                              {"F16", at::kHalf},
                                                              {"BF16", at::kBFloat16},
                                                              {"I64", at::kLong}};
  const auto found = known.find(name);
  if (found == known.end())
    throw Error(ErrorCode::kDataLoss,
                "tensor " + tensor + " has the dtype " + name + ", which no weight has");
  return found->second;
}

std::map<std::string, at::Tensor> tensors_of(const checkpoint::PortableTensors& sources) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, source] : sources) {
    const at::Tensor tensor = at::empty(source.shape, dtype_of(name, source.dtype));
    if (tensor.nbytes() != source.data.size())
      throw Error(ErrorCode::kInternal, "tensor " + name + " was not read whole");
    if (!source.data.empty()) std::memcpy(tensor.data_ptr(), source.data.data(), source.data.size());
    tensors.emplace(name, tensor);
  }
  return tensors;
}

// Whether the averaged weights are to be taken. A file that was exported with them has no others.
bool takes_average(const Portable& portable, WeightsChoice choice) {
  const bool exported = portable.weights == checkpoint::Weights::kEma;
  if (choice == WeightsChoice::kEma && portable.ema.empty() && !exported)
    throw Error(
        ErrorCode::kFailedPrecondition,
        portable.source + " holds no moving average (it was trained without ema); take --weights raw");
  if (choice == WeightsChoice::kRaw && exported)
    throw Error(ErrorCode::kFailedPrecondition,
                portable.source + " was exported with averaged weights alone; take --weights ema");
  return exported || (choice != WeightsChoice::kRaw && !portable.ema.empty());
}

Weights chosen(const Portable& portable, WeightsChoice choice) {
  if (!portable.has_spec)
    throw Error(ErrorCode::kFailedPrecondition, portable.source + " does not say what it was trained with");
  if (const auto problems = checkpoint::own_misfits(portable); !problems.empty())
    throw Error(ErrorCode::kDataLoss, portable.source + ": " + join(problems, "; "));
  Weights weights;
  weights.source = portable.source;
  weights.step = portable.is_lightning ? portable.optimizer_steps : portable.step;
  weights.spec = portable.spec;
  const bool averaged = takes_average(portable, choice);
  weights.kind = averaged ? "ema" : "raw";
  weights.tensors = tensors_of(averaged && !portable.ema.empty() ? portable.ema : portable.model);
  weights.digest = digest_of(weights.tensors);
  weights.notes = portable.notes;
  return weights;
}

}  // namespace

WeightsChoice weights_choice(const std::string& name) {
  if (name.empty()) return WeightsChoice::kBest;
  if (name == "ema") return WeightsChoice::kEma;
  if (name == "raw") return WeightsChoice::kRaw;
  throw Error(ErrorCode::kInvalidArgument, "--weights " + name + ": 'ema' or 'raw' is expected");
}

Weights load_weights(const fs::path& source, WeightsChoice choice) {
  if (!fs::exists(source)) throw Error(ErrorCode::kNotFound, source.string() + ": no such file or folder");
  std::vector<std::string> notes;
  fs::path path = fs::canonical(source);
  if (fs::is_directory(path) && !checkpoint::parse_folder_name(path.filename().string()))
    path = newest_below(path, notes);
  Weights weights = chosen(checkpoint::read_portable(path, checkpoint::Contents::kAll), choice);
  weights.notes.insert(weights.notes.begin(), notes.begin(), notes.end());
  return weights;
}

}  // namespace mdgen::sample
