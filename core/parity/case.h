// A case: a golden file, run through the project's own code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "core/parity/comparison.h"
#include "core/parity/golden_file.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::parity {

enum class Verdict { kPass, kFail, kUnsupported };

struct Result {
  std::string name;
  Family prep{"prep"}, out{"out"}, loss{"loss"}, grad{"grad"}, train{"train"}, ode{"ode"};
  Verdict verdict = Verdict::kFail;
  std::vector<std::string> reasons;  // why it is not a pass

  // "sim prep=1e-7 out=3e-7 loss=0 grad=4e-6 train=- ode=4e-6 PASS"
  std::string row() const;
};

// Never throws: what goes wrong is in the result.
Result run_case(const std::filesystem::path& file);

// Each fills the families it can of a result; all throw Error.
void run_geometry(const GoldenFile& golden, Result& result);
void run_model(const GoldenFile& golden, Result& result);
// Samples from the golden start, as the reference does (reference_compat, the batch's error norm). `batch` as
// in training; its noise and simplex are replaced.
void run_ode(const GoldenFile& golden, model::LatentModel& model, const v1::JobSpec& spec, data::Batch batch,
             Family& family);

}  // namespace mdgen::parity
