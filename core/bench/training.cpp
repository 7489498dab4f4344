#include "core/bench/training.h"

#include "core/comm/local/local_group.h"
#include "core/data/manifest.h"
#include "core/objective/objective.h"

namespace mdgen::bench {

Job::Job(const v1::JobSpec& spec)
    : manifest(data::build_manifest(spec).manifest),
      dataset(spec, manifest.train(), objective::latent_channels(spec.model())),
      plan(data::plan_inputs(spec, manifest)),
      channels(objective::latent_channels(spec.model())) {}

Training::Training(const v1::JobSpec& spec, const Job& job, at::Device device)
    : spec_(spec),
      state_(spec, device),
      collectives_(comm::make_local_group(1)),
      stepper_(spec_, job.manifest.train(), state_, loop_, *collectives_.front(), device, clock_,
               no_faults_) {}

train::StepOutcome Training::step(const train::StepWork& work, train::StepFeed& feed) {
  return stepper_.run(work, feed, spec_.optim().lr(), {}, [](v1::TrainerPhase, bool) {});
}

}  // namespace mdgen::bench
