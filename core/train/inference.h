// Samples drawn inside a validation (inference_batches), and what is measured of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "core/model/latent_model.h"
#include "core/train/validation.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

// inference_batches > 0, and the epoch is a designability_freq-th one or the run only validates.
bool inference_due(const v1::JobSpec& spec, std::int64_t epoch);

// Of the first inference_batches micro-batches of a validation, each on the rank that has it: samples every
// window, writes the first one as epoch{E}_{name}.pdb into `run_folder`, and gives (docs/sampling.md)
//   sample_ca_validity, sample_clashes, sample_rmsf, sample_rmsf_correlation, sample_evaluations
//   design: design_aa_recovery, cond_aa_recovery; as texts seq_pred, seq_true (letters, ',' between samples)
// The draws are the validation's own, the same every time. A flow that cannot be followed (an untrained
// model) is a warning, and the batch gives no values. `interrupt` is asked before each evaluation of the
// network; it may throw a CollectiveError, which passes. All must outlive the visitor.
BatchVisitor sample_first_batches(const v1::JobSpec& spec, const std::filesystem::path& run_folder,
                                  std::int64_t epoch, model::LatentModel& model,
                                  std::function<void()> interrupt = {});

}  // namespace mdgen::train
