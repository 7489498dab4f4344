#include "core/sample/program/session.h"

#include <spdlog/spdlog.h>

#include <thread>

#include "core/base/error.h"
#include "core/comm/collective.h"
#include "core/protein/residue_constants.h"
#include "core/sample/program/stop.h"
#include "core/sample/sampler.h"
#include "core/sample/start.h"
#include "core/sample/structure.h"
#include "core/sample/weights.h"
#include "core/train/numerics.h"
#include "core/train/optimizer.h"

namespace mdgen::sample {
namespace {

int threads_of(int asked) {
  return asked > 0 ? asked : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Json solver_settings(const v1::JobSpec& spec, int batch_size) {
  const v1::TransportSpec& transport = spec.transport();
  const bool of_batch = spec.reference_compat() || transport.ode_error_norm() == "batch";
  Json settings = {{"sampling_method", transport.sampling_method()}};
  if (transport.sampling_method() == "euler") {
    settings["ode_steps"] = transport.ode_steps();
    return settings;
  }
  settings["ode_error_norm"] = of_batch ? "batch" : "sample";
  settings["rtol"] = transport.ode_rtol();
  settings["atol"] = transport.ode_atol();
  if (of_batch) settings["batch_size"] = batch_size;
  return settings;
}

}  // namespace

at::Tensor residue_types(const std::string& seqres) {
  std::vector<std::int64_t> types;
  for (const char letter : seqres) types.push_back(protein::residue_type(letter));
  return torch::tensor(types, at::kLong);
}

void Solved::check_finite(std::size_t i, const std::string& what) const {
  if (!at::isfinite(atom14[i]).all().item<bool>())
    throw Error(ErrorCode::kDataLoss, what + ": the model's coordinates are not finite");
}

Session::Session(Options options) : options_(std::move(options)) {
  train::configure_numerics("32-true", threads_of(options_.threads));
  Weights weights = load_weights(options_.checkpoint, weights_choice(options_.weights));
  for (const std::string& note : weights.notes) spdlog::warn("{}", note);
  if (const std::string reason = why_not(options_, weights.spec); !reason.empty())
    throw Error(ErrorCode::kFailedPrecondition, reason);
  complete(options_, weights.spec);
  spec_ = weights.spec;
  device_ = at::Device(options_.device);
  if (device_.is_cuda()) comm::load_cuda();
  model_ = model::LatentModel(model::model_config(spec_));
  train::load_state_dict(*model_, weights.tensors);
  model_->to(device_);
  model_->eval();
  spdlog::info("{} weights of {}, step {}, on {}", weights.kind == "ema" ? "averaged" : "raw", weights.source,
               weights.step, options_.device);
  weights_ = {{"weights", weights.kind}, {"weights_sha256", weights.digest}};
  information_ = {{"checkpoint", weights.source}, {"step", weights.step}};
}

Records::Common Session::common(const Json& own) const {
  Json settings = {{"verb", verb_name(options_.verb)}, {"seed", options_.seed}};
  for (const Json& part : {own, solver_settings(spec_, options_.batch_size), weights_}) settings.update(part);
  settings["time_step"] = options_.time_step;
  settings["xtc"] = options_.xtc;
  settings["npy"] = options_.npy;
  return {settings, information_};
}

Solved Session::solve(const std::vector<data::Batch>& starts) {
  const torch::NoGradGuard no_grad;
  const data::Batch batch = stack(starts, device_);
  const Sampled sampled = sample(model_, spec_, batch);
  const at::Tensor atom14 = sampled.atom14.to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor aatype = sampled.aatype.cpu();
  const v1::ModelSpec& model = spec_.model();
  const bool of_given = spec_.reference_compat() || model.mpnn() || model.dynamic_mpnn();
  const at::Tensor types = (of_given ? batch.seqres : sampled.sequence).cpu();
  Solved solved;
  solved.evaluations = sampled.evaluations;
  for (std::int64_t i = 0; i < atom14.size(0); ++i) {
    solved.atom14.push_back(atom14[i].clone());
    solved.types.push_back(types[i].clone());
    solved.aatype.push_back(aatype[i].clone());
  }
  return solved;
}

Json Session::write(const std::string& stem, const at::Tensor& atom14, const at::Tensor& types) const {
  const std::vector<int> residue_types = [&] {
    const at::Tensor narrow = types.to(at::kInt).contiguous();
    return std::vector<int>(narrow.data_ptr<int>(), narrow.data_ptr<int>() + narrow.numel());
  }();
  const at::Tensor values = atom14.contiguous();
  const protein::Atom14Trajectory trajectory(
      {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())}, residue_types);
  const auto file = [&](const char* extension) { return options_.out_dir / (stem + extension); };

  const Unstoppable until_whole;
  Json paths = {{"path", file(".pdb").string()}};
  if (options_.npy) {
    write_atom14(file(".npy"), trajectory);
    paths["npy_path"] = file(".npy").string();
  }
  if (options_.xtc) {
    write_xtc_and_pdb(file(".xtc"), file(".pdb"), trajectory, options_.time_step);
    paths["xtc_path"] = file(".xtc").string();
  } else {
    write_pdb(file(".pdb"), trajectory);
  }
  return paths;
}

}  // namespace mdgen::sample
