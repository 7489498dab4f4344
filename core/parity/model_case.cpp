#include <algorithm>
#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/config/spec.h"
#include "core/objective/objective.h"
#include "core/parity/case.h"
#include "core/train/optimizer.h"

namespace mdgen::parity {
namespace {

// Gradients below this share of the case's largest are zero in exact arithmetic: rounding noise.
constexpr double kNoiseFloor = 1e-5;
constexpr double kAdamWDecay = 0.01;

v1::JobSpec job_spec(const GoldenFile& golden) {
  v1::JobSpec spec;
  spec.mutable_data()->set_train_split("unused");
  spec.mutable_data()->set_val_split("unused");
  spec.mutable_data()->set_data_dir("unused");
  config::apply_flags(spec, golden.flags());
  spec.set_reference_compat(true);
  return config::resolve(spec, std::filesystem::current_path()).spec;
}

constexpr std::int64_t kCa = 1;  // in atom37

at::Tensor if_any(const GoldenFile& golden, const std::string& name) {
  return golden.has(name) ? golden.at(name) : at::Tensor();
}

// Under no_frames the golden mask is that of the atoms; a residue counts where its Cα does.
data::Batch batch_of(const GoldenFile& golden, const v1::ModelSpec& spec) {
  data::Batch batch;
  batch.seqres = golden.at("batch.seqres");
  batch.simplex = if_any(golden, "draw.x_d");
  if (spec.no_frames()) {
    batch.atom37 = golden.at("batch.atom37");
    batch.atom37_mask = golden.at("batch.mask");
    batch.mask = batch.atom37_mask.select(-1, kCa);
    return batch;
  }
  batch.trans = golden.at("batch.trans");
  batch.rots = golden.at("batch.rots");
  batch.torsions = golden.at("batch.torsions");
  batch.torsion_mask = golden.at("batch.torsion_mask");
  batch.mask = golden.at("batch.mask");
  return batch;
}

double magnitude(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

// One case's model, objective and data.
struct Setting {
  explicit Setting(const GoldenFile& golden)
      : spec(job_spec(golden)),
        transport(spec.transport()),
        prepared(objective::prepare(batch_of(golden, spec.model()), spec)) {}

  void build_model(const GoldenFile& golden) {
    model = model::LatentModel(model::model_config(spec));
    train::load_state_dict(*model, golden.under("param."));
  }

  v1::JobSpec spec;
  transport::Transport transport;
  objective::Prepared prepared;
  model::LatentModel model{nullptr};
};

void compare_prepared(const GoldenFile& golden, const objective::Prepared& prepared, Family& family) {
  const model::Conditioning& given = prepared.conditioning;
  family.compare_all({{"latents", prepared.latents},
                      {"loss_mask", prepared.loss_mask},
                      {"mask", given.mask},
                      {"aatype", given.aatype},
                      {"x_cond", given.x_cond},
                      {"x_cond_mask", given.x_cond_mask},
                      {"start_frames.rots", given.start_frames.rots},
                      {"start_frames.trans", given.start_frames.trans},
                      {"end_frames.rots", given.end_frames.rots},
                      {"end_frames.trans", given.end_frames.trans}},
                     golden.under("prep."), kValueTolerance);
}

at::Tensor mean_of(const at::Tensor& values) { return values.defined() ? values.mean().view({1}) : values; }

// The reference's cross-entropy is the batch's mean, also where it is added to a sample's own loss.
at::Tensor reference_per_sample(const transport::Losses& losses, double weight) {
  if (!losses.discrete.defined()) return losses.per_sample;
  const at::Tensor discrete = losses.discrete.mean().view({1});
  return losses.continuous.defined() ? weight * discrete + (1 - weight) * losses.continuous : discrete;
}

void compare_outputs(const GoldenFile& golden, const Setting& setting, const transport::Losses& losses,
                     Result& result) {
  const double weight = setting.spec.transport().discrete_loss_weight();
  const std::map<std::string, at::Tensor> of_loss = {
      {"loss", losses.per_sample.mean().view({1})},
      {"loss_per_sample", reference_per_sample(losses, weight)},
      {"loss_continuous", mean_of(losses.continuous)},
      {"loss_discrete", mean_of(losses.discrete)}};
  std::map<std::string, at::Tensor> loss, out = golden.under("out.");
  for (const auto& [name, ours] : of_loss) {
    if (auto node = out.extract(name)) loss.insert(std::move(node));
  }
  result.loss.compare_all(of_loss, loss, kValueTolerance);
  result.out.compare_all(
      {{"xt", losses.xt}, {"ut", losses.ut}, {"model", losses.output}, {"logits", losses.logits}}, out,
      kValueTolerance);
}

void compare_gradients(const GoldenFile& golden, const torch::nn::Module& model, Family& family) {
  const auto expected = golden.under("grad.");
  if (expected.empty()) return;
  double largest = 0;
  for (const auto& [name, gradient] : expected) largest = std::max(largest, magnitude(gradient));
  const double floor = kNoiseFloor * largest;

  std::map<std::string, at::Tensor> ours;
  for (const auto& [name, parameter] : train::trainable(model)) {
    ours.emplace(name, parameter.grad());
    const bool stray = parameter.grad().defined() && !expected.contains(name);
    if (stray && magnitude(parameter.grad()) >= floor) family.problem(name + " has no golden gradient");
  }
  for (const auto& [name, gradient] : expected) {
    if (magnitude(gradient) < floor) continue;
    family.compare_all(ours, {{name, gradient}}, kGradientTolerance);
  }
}

void run_step(const GoldenFile& golden, Setting& setting, Result& result) {
  const transport::Losses losses = objective::training_losses(
      setting.model, setting.transport, setting.prepared, golden.at("draw.t"), golden.at("draw.x0"));
  losses.per_sample.mean().backward();
  compare_outputs(golden, setting, losses, result);
  compare_gradients(golden, *setting.model, result.grad);
}

// Weights after training, but for those that Adam moves along rounding noise: the key half of linear_kv.bias
// has no gradient in exact arithmetic.
void compare_weights(const std::map<std::string, at::Tensor>& ours, std::map<std::string, at::Tensor> golden,
                     Family& family) {
  std::erase_if(golden, [](const auto& item) { return item.first.ends_with("ipa.linear_kv.bias"); });
  family.compare_all(ours, golden, kWeightTolerance);
}

// The golden run's optimizer steps, each over `accumulate_grad` micro-batches of the one batch.
void run_training(const GoldenFile& golden, Setting& setting, Family& family) {
  const v1::OptimSpec& optim = setting.spec.optim();
  const auto parameters = train::trainable(*setting.model);
  const bool decoupled = optim.adamw();
  train::Adam adam(
      parameters,
      {.lr = optim.lr(), .decoupled_weight_decay = decoupled, .weight_decay = decoupled ? kAdamWDecay : 0.0});
  train::Ema ema(train::state_dict(*setting.model), optim.ema_decay());
  const at::Tensor& times = golden.at("train.t");
  const at::Tensor& noise = golden.at("train.x0");
  const std::int64_t parts = optim.accumulate_grad();
  const std::int64_t steps = golden.at("train.grad_norm").numel();
  if (times.size(0) != steps * parts || noise.size(0) != steps * parts) {
    throw Error(ErrorCode::kDataLoss, golden.name() + ": train.t and train.x0 must have " +
                                          std::to_string(steps * parts) + " micro-batches");
  }
  auto& sequence = setting.prepared.sequence;
  std::vector<at::Tensor> losses, norms;
  for (std::int64_t step = 0; step < steps; ++step) {
    setting.model->zero_grad();
    for (std::int64_t part = step * parts; part < (step + 1) * parts; ++part) {
      if (sequence && !sequence->alone) sequence->simplex = golden.at("train.x_d")[part];
      const at::Tensor loss = objective::training_losses(setting.model, setting.transport, setting.prepared,
                                                         times[part], noise[part])
                                  .per_sample.mean();
      (loss / static_cast<double>(parts)).backward();
      losses.push_back(loss.detach());
    }
    norms.push_back(train::gradient_norm(parameters));
    train::clip_gradients(parameters, norms.back(), optim.grad_clip());
    adam.step();
    ema.update(train::state_dict(*setting.model));
  }
  family.compare("loss", at::stack(losses), golden.at("train.loss"), kGradientTolerance);
  family.compare("grad_norm", at::stack(norms), golden.at("train.grad_norm"), kGradientTolerance);
  const auto weights = train::state_dict(*setting.model);
  compare_weights({weights.begin(), weights.end()}, golden.under("train.final."), family);
  compare_weights(ema.weights(), golden.under("train.ema."), family);
}

}  // namespace

void run_model(const GoldenFile& golden, Result& result) {
  Setting setting(golden);
  compare_prepared(golden, setting.prepared, result.prep);
  setting.build_model(golden);
  if (golden.has_any("out.")) run_step(golden, setting, result);
  if (golden.has_any("ode.")) {
    run_ode(golden, setting.model, setting.spec, batch_of(golden, setting.spec.model()), result.ode);
  }
  if (golden.has_any("train.")) run_training(golden, setting, result.train);
}

}  // namespace mdgen::parity
