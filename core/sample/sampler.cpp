#include "core/sample/sampler.h"

#include <string>

#include "core/base/error.h"
#include "core/objective/objective.h"
#include "core/protein/geometry.h"
#include "core/sample/ode.h"
#include "core/sample/rebuild.h"
#include "core/transport/dirichlet.h"
#include "core/transport/transport.h"

namespace mdgen::sample {
namespace {

model::Conditioning of_rows(const model::Conditioning& all, const at::Tensor& rows) {
  const auto of = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.index_select(0, rows) : tensor;
  };
  return {.mask = of(all.mask),
          .start_frames = {of(all.start_frames.rots), of(all.start_frames.trans)},
          .end_frames = {of(all.end_frames.rots), of(all.end_frames.trans)},
          .x_cond = of(all.x_cond),
          .x_cond_mask = of(all.x_cond_mask),
          .aatype = of(all.aatype),
          .dropout_key = {},
          .first_residue = of(all.first_residue),
          .bias_token_position = all.bias_token_position};
}

// The drift of the flow: what the model's output says of the samples that the solver asks for.
class Flow {
 public:
  Flow(model::LatentModel& model, const v1::JobSpec& spec, const model::Conditioning& given,
       const std::function<void()>& interrupt)
      : model_(model),
        design_(spec.model().design()),
        path_(transport::path_type(spec.transport())),
        prediction_(transport::prediction_type(spec.transport())),
        dirichlet_(transport::dirichlet_flow(spec)),
        given_(given),
        interrupt_(interrupt) {}

  at::Tensor operator()(const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows) {
    if (interrupt_) interrupt_();
    if (!rows.is_same(rows_)) {
      now_ = of_rows(given_, rows);
      rows_ = rows;
    }
    const at::Tensor output = model_->forward(x, t, now_);
    if (!design_) return transport::velocity_from_prediction(path_, prediction_, output, x, t);
    const std::int64_t continuous = x.size(-1) - transport::kResidueTypes;
    const auto sequence = [&](const at::Tensor& all) {
      return all.narrow(-1, continuous, transport::kResidueTypes);
    };
    const at::Tensor flow = transport::sequence_velocity(sequence(x), sequence(output), t, dirichlet_);
    return at::cat({output.narrow(-1, 0, continuous), flow}, -1);
  }

 private:
  model::LatentModel& model_;
  bool design_;
  transport::PathType path_;
  transport::Prediction prediction_;
  transport::DirichletFlow dirichlet_;
  const model::Conditioning& given_;
  std::function<void()> interrupt_;
  at::Tensor rows_;
  model::Conditioning now_;  // of rows_
};

at::Tensor start(const objective::Prepared& prepared, const data::Batch& batch, bool design) {
  const at::Tensor& latents = prepared.latents;
  if (!batch.noise.defined() || batch.noise.sizes() != latents.sizes()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the start noise must have the latents' shape, " + c10::str(latents.sizes()) +
                    (batch.noise.defined() ? ", not " + c10::str(batch.noise.sizes()) : std::string()));
  }
  const at::Tensor noise = batch.noise.to(latents.options());
  if (!design) return noise;
  const at::Tensor simplex =
      batch.simplex.to(latents.options()).unsqueeze(1).expand({-1, latents.size(1), -1, -1});
  return at::cat({noise, simplex}, -1);
}

OdeResult solve(const Flow& flow, const v1::JobSpec& spec, const at::Tensor& x0, const at::Tensor& counted,
                std::int64_t max_steps) {
  const v1::TransportSpec& how = spec.transport();
  const auto [begin, end] =
      transport::sampling_time_range(transport::path_type(how), transport::prediction_type(how));
  if (how.sampling_method() == "euler") return euler(flow, x0, begin, end, how.ode_steps());
  const bool batch_norm = spec.reference_compat() || how.ode_error_norm() == "batch";
  Dopri5Options options{.rtol = how.ode_rtol(),
                        .atol = how.ode_atol(),
                        .norm = batch_norm ? ErrorNorm::kBatch : ErrorNorm::kSample,
                        .counted = spec.reference_compat() ? at::Tensor() : counted,
                        .max_steps = max_steps};
  return dopri5(flow, x0, begin, end, options);
}

// Generated where it was hidden, by what all frames say together.
at::Tensor one_sequence(const at::Tensor& by_frame, const model::Conditioning& given) {
  return at::where(given.aatype == objective::kHiddenType, by_frame.mean(1).argmax(-1), given.aatype);
}

Sampled sequence_alone(model::LatentModel& model, const data::Batch& batch,
                       const objective::Prepared& prepared) {
  const at::Tensor& latents = prepared.latents;
  std::vector<std::int64_t> sizes = latents.sizes().vec();
  sizes.back() = transport::kResidueTypes;
  const at::Tensor x = at::cat({latents, at::zeros(sizes, latents.options())}, -1);
  const at::Tensor logits =
      model->forward(x, at::ones({latents.size(0)}, latents.options()), prepared.conditioning);
  const at::Tensor types = batch.seqres.unsqueeze(1).expand({-1, latents.size(1), -1});
  Sampled out;
  out.atom14 = protein::frames_torsions_to_atom14(prepared.frames, batch.torsions, types);
  out.sequence = one_sequence(logits, prepared.conditioning);
  out.aatype = logits.argmax(-1);
  out.evaluations = 1;
  return out;
}

}  // namespace

Sampled sample(model::LatentModel& model, const v1::JobSpec& spec, const data::Batch& batch,
               std::int64_t max_steps, const std::function<void()>& interrupt) {
  const torch::NoGradGuard no_grad;
  const v1::ModelSpec& what = spec.model();
  const objective::Prepared prepared = objective::prepare(batch, spec);
  const model::Conditioning& given = prepared.conditioning;
  if (what.mpnn() || what.dynamic_mpnn()) return sequence_alone(model, batch, prepared);

  OdeResult flown = solve(Flow(model, spec, given, interrupt), spec, start(prepared, batch, what.design()),
                          given.mask.unsqueeze(-1), max_steps);
  Sampled out;
  out.latents = flown.x;
  out.evaluations = flown.evaluations;
  out.accepted = std::move(flown.accepted);
  out.rejected = std::move(flown.rejected);
  out.sequence = batch.seqres;
  out.aatype = batch.seqres.unsqueeze(1).expand({-1, out.latents.size(1), -1});
  if (what.design()) {
    const at::Tensor points = out.latents.narrow(-1, -transport::kResidueTypes, transport::kResidueTypes);
    out.aatype = points.argmax(-1);
    out.sequence = one_sequence(points, given);
  }
  protein::Rigid first;
  if (!what.no_frames()) {
    first = {prepared.frames.rots.narrow(1, 0, 1), prepared.frames.trans.narrow(1, 0, 1)};
  }
  const at::Tensor& types = spec.reference_compat() ? batch.seqres : out.sequence;
  out.atom14 = rebuild_atom14(out.latents, first, types, what);
  return out;
}

}  // namespace mdgen::sample
