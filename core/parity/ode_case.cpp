#include "core/model/latent_layout.h"
#include "core/parity/case.h"
#include "core/sample/sampler.h"

namespace mdgen::parity {
namespace {

// What the flow starts from: the design's sequence channels are one draw for all frames.
void set_start(const at::Tensor& z, const v1::ModelSpec& spec, data::Batch& batch) {
  const model::LatentLayout layout = model::latent_layout(spec);
  batch.noise = z.narrow(-1, 0, layout.continuous());
  batch.simplex = z.select(1, 0).narrow(-1, layout.sequence.begin, layout.sequence.size);
}

}  // namespace

void run_ode(const GoldenFile& golden, model::LatentModel& model, const v1::JobSpec& spec, data::Batch batch,
             Family& family) {
  if (golden.has("ode.z")) set_start(golden.at("ode.z"), spec.model(), batch);
  v1::JobSpec as_reference = spec;
  as_reference.set_reference_compat(true);
  as_reference.mutable_transport()->set_ode_error_norm("batch");
  model->eval();
  const sample::Sampled ours = sample::sample(model, as_reference, batch);
  model->train();

  std::map<std::string, at::Tensor> expected = golden.under("ode.");
  expected.erase("z");
  if (const auto types = expected.extract("aatype")) {
    family.compare("aatype", ours.aatype, types.mapped(), kExact);
  }
  family.compare_all({{"latents", ours.latents}, {"atom14", ours.atom14}}, expected, kGradientTolerance);
}

}  // namespace mdgen::parity
