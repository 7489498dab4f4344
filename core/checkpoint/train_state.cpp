#include "core/checkpoint/train_state.h"

#include <array>

#include "core/base/error.h"
#include "core/checkpoint/dtype.h"
#include "core/checkpoint/state_file.h"
#include "core/format/safetensors.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

using Tensors = std::map<std::string, at::Tensor>;

struct DtypeName {
  at::ScalarType type;
  const char* name;
};
constexpr std::array<DtypeName, 10> kDtypes = {{{at::kDouble, "F64"},
                                                {at::kFloat, "F32"},
                                                {at::kHalf, "F16"},
                                                {at::kBFloat16, "BF16"},
                                                {at::kLong, "I64"},
                                                {at::kInt, "I32"},
                                                {at::kShort, "I16"},
                                                {at::kChar, "I8"},
                                                {at::kByte, "U8"},
                                                {at::kBool, "BOOL"}}};

const char* dtype_name(const std::string& tensor, at::ScalarType type) {
  for (const DtypeName& entry : kDtypes)
    if (entry.type == type) return entry.name;
  throw Error(ErrorCode::kInternal, "tensor " + tensor + " has a dtype that a checkpoint cannot hold");
}

FileRecord write_tensors(const fs::path& file, const Tensors& tensors, std::int64_t step) {
  std::vector<at::Tensor> host;  // keeps the bytes alive
  std::vector<format::TensorBytes> bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& flat = host.emplace_back(tensor.detach().to(at::kCPU).contiguous());
    bytes.push_back({name,
                     dtype_name(name, flat.scalar_type()),
                     flat.sizes().vec(),
                     {static_cast<const std::byte*>(flat.data_ptr()), flat.nbytes()}});
  }
  WrittenFile written =
      format::write_safetensors(file, bytes, {{"format", "pt"}, {"step", std::to_string(step)}});
  return {file.filename().string(), written.bytes, std::move(written.sha256)};
}

Tensors read_tensors(const fs::path& file) {
  const format::SafetensorsFile source(file);
  Tensors tensors;
  for (const auto& [name, info] : source.tensors()) {
    const at::Tensor tensor = at::empty(info.shape, dtype_of(file.string() + ": " + name, info.dtype));
    const auto bytes = source.bytes(name);
    if (bytes.size() != tensor.nbytes())
      throw Error(ErrorCode::kDataLoss,
                  file.string() + ": tensor " + name + " has another size than its shape");
    if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    tensors.emplace(name, tensor);
  }
  return tensors;
}

Tensors copy_tensors(const Tensors& live, Tensors reuse) {
  at::NoGradGuard no_grad;
  Tensors copy;
  for (const auto& [name, tensor] : live) {
    const auto warm = reuse.find(name);
    const bool fits = warm != reuse.end() && warm->second.sizes() == tensor.sizes() &&
                      warm->second.scalar_type() == tensor.scalar_type();
    at::Tensor target =
        fits ? warm->second
             : at::empty(tensor.sizes(),
                         tensor.options().device(at::kCPU).memory_format(at::MemoryFormat::Contiguous));
    target.copy_(tensor.detach());
    copy.emplace(name, std::move(target));
  }
  return copy;
}

}  // namespace

at::ScalarType dtype_of(const std::string& tensor, const std::string& name) {
  for (const DtypeName& entry : kDtypes)
    if (name == entry.name) return entry.type;
  throw Error(ErrorCode::kDataLoss, tensor + " has the unknown dtype " + name);
}

TrainState snapshot(const TrainState& live, TrainState reuse) {
  return {copy_tensors(live.model, std::move(reuse.model)),
          copy_tensors(live.ema, std::move(reuse.ema)),
          copy_tensors(live.optimizer, std::move(reuse.optimizer)),
          live.summary,
          live.spec_json,
          live.loop_json,
          live.ledger_json};
}

std::vector<FileRecord> write_files(const fs::path& folder, const TrainState& state) {
  const std::int64_t step = state.summary.step;
  std::vector<FileRecord> files;
  files.push_back(write_tensors(folder / kModelFile, state.model, step));
  if (!state.ema.empty()) files.push_back(write_tensors(folder / kEmaFile, state.ema, step));
  files.push_back(write_tensors(folder / kOptimizerFile, state.optimizer, step));
  files.push_back(write_state_file(folder, {.summary = state.summary,
                                            .spec_json = state.spec_json,
                                            .loop_json = state.loop_json,
                                            .ledger_json = state.ledger_json}));
  return files;
}

std::int64_t bytes_of(const TrainState& state) {
  constexpr std::size_t kHeader = 256;    // of a tensor
  constexpr std::size_t kOthers = 65536;  // the rest, rounded up to blocks
  std::size_t bytes =
      kOthers + 2 * (state.spec_json.size() + state.loop_json.size() + state.ledger_json.size());
  for (const Tensors* tensors : {&state.model, &state.ema, &state.optimizer})
    for (const auto& [name, tensor] : *tensors) bytes += tensor.nbytes() + name.size() + kHeader;
  return static_cast<std::int64_t>(bytes);
}

TrainState read_files(const fs::path& folder) {
  TrainState state;
  state.model = read_tensors(folder / kModelFile);
  if (fs::exists(folder / kEmaFile)) state.ema = read_tensors(folder / kEmaFile);
  if (fs::exists(folder / kOptimizerFile)) state.optimizer = read_tensors(folder / kOptimizerFile);
  StateFile saved = read_state_file(folder);
  state.summary = std::move(saved.summary);
  state.spec_json = std::move(saved.spec_json);
  state.loop_json = std::move(saved.loop_json);
  state.ledger_json = std::move(saved.ledger_json);
  return state;
}

}  // namespace mdgen::checkpoint
