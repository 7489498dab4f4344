#include "core/train/inference.h"

#include <spdlog/spdlog.h>

#include <array>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/comm/collective.h"
#include "core/data/draws.h"
#include "core/protein/atom14_trajectory.h"
#include "core/protein/residue_constants.h"
#include "core/sample/quality.h"
#include "core/sample/sampler.h"
#include "core/sample/structure.h"

namespace mdgen::train {
namespace {

// A network that needs more is not ready to be sampled, and the other ranks wait.
constexpr std::int64_t kMaxSteps = 1000;

// The real residues of one sample, on the host.
class Structure {
 public:
  // atom14 (T, L, 14, 3), types (L).
  Structure(const at::Tensor& atom14, const at::Tensor& types, std::int64_t residues)
      : atom14_(atom14.narrow(1, 0, residues).to(at::kCPU, at::kFloat).contiguous()) {
    const at::Tensor host = types.narrow(0, 0, residues).to(at::kCPU, at::kInt).contiguous();
    types_.assign(host.const_data_ptr<int>(), host.const_data_ptr<int>() + residues);
  }
  protein::Atom14Trajectory trajectory() const {
    return {{atom14_.const_data_ptr<float>(), static_cast<std::size_t>(atom14_.numel())}, types_};
  }
  std::string letters() const {
    std::string text;
    for (const int type : types_) text += protein::kResidueLetters[static_cast<std::size_t>(type)];
    return text;
  }

 private:
  at::Tensor atom14_;
  std::vector<int> types_;
};

std::int64_t residues_of(const data::Batch& batch, std::int64_t sample) {
  return batch.mask[sample].sum().item<std::int64_t>();
}

// The Cα of the window that the sample was drawn for, as atom14.
at::Tensor given_calpha(const data::Batch& batch, std::int64_t sample) {
  constexpr std::int64_t kCalphaOfAtom37 = 1;
  const at::Tensor calpha =
      batch.trans.defined() ? batch.trans[sample] : batch.atom37[sample].select(-2, kCalphaOfAtom37);
  at::Tensor atom14 = at::zeros({calpha.size(0), calpha.size(1), protein::kAtom14, 3}, calpha.options());
  atom14.select(-2, static_cast<std::int64_t>(protein::kCalpha)).copy_(calpha);
  return atom14;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Means over a batch's samples, by name.
class Means {
 public:
  void add(const std::string& name, double value) { values_[name].push_back(value); }
  std::map<std::string, double> get() const {
    std::map<std::string, double> means;
    for (const auto& [name, values] : values_) means[name] = mean(values);
    return means;
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

void measure(const Structure& sampled, const Structure& given, Means& means) {
  const protein::Atom14Trajectory trajectory = sampled.trajectory();
  const std::vector<double> ours = sample::ca_rmsf(trajectory);
  means.add("sample_ca_validity", sample::ca_distance_validity(trajectory));
  means.add("sample_clashes", sample::clashes_per_frame(trajectory));
  means.add("sample_rmsf", mean(ours));
  means.add("sample_rmsf_correlation", sample::pearson(ours, sample::ca_rmsf(given.trajectory())));
}

// `right` (T, n): whether the type of each frame and real residue is that of the protein. The reference takes
// the ends for given and all between for designed.
void measure_recovery(const at::Tensor& right, Means& means) {
  const at::Tensor by_residue = right.to(at::kDouble).mean(0);
  const std::int64_t last = by_residue.size(0) - 1;
  means.add("design_aa_recovery", by_residue.slice(0, 1, last).mean().item<double>());
  means.add("cond_aa_recovery", (by_residue[0] + by_residue[last]).item<double>() / 2);
}

// Where the sequence's flow starts; the batch's own points lie on its path and know the protein.
at::Tensor simplex_start(const v1::JobSpec& spec, const data::MicroBatch& samples, const data::Batch& batch) {
  constexpr std::size_t kTypes = protein::kResidueTypes;
  at::Tensor points = at::full({batch.mask.size(0), batch.mask.size(1), static_cast<std::int64_t>(kTypes)},
                               1.0 / kTypes, at::kFloat);
  for (std::int64_t i = 0; i < points.size(0); ++i) {
    const data::DrawKey key{.seed = spec.seed(),
                            .epoch = data::kValidationEpoch,
                            .sample = samples.at(static_cast<std::size_t>(i))};
    const auto first = batch.first_residue.defined() ? batch.first_residue[i].item<std::int64_t>() : 0;
    for (std::int64_t residue = 0; residue < residues_of(batch, i); ++residue) {
      data::draw_simplex_start(key, static_cast<std::int32_t>(first + residue),
                               std::span<float, kTypes>(points[i][residue].data_ptr<float>(), kTypes));
    }
  }
  return points.to(batch.mask.device());
}

class Inference {
 public:
  Inference(const v1::JobSpec& spec, std::filesystem::path run_folder, std::int64_t epoch,
            model::LatentModel& model, std::function<void()> interrupt)
      : spec_(spec),
        run_folder_(std::move(run_folder)),
        epoch_(epoch),
        model_(model),
        interrupt_(std::move(interrupt)) {}

  NamedValues operator()(std::int64_t index, const data::MicroBatch& samples,
                         const data::Batch& batch) const {
    if (index >= spec_.loop().inference_batches()) return {};
    try {
      return values(samples, batch);
    } catch (const comm::CollectiveError&) {
      throw;
    } catch (const Error& error) {
      spdlog::warn("epoch {}, validation batch {} ({}): no samples: {}", epoch_, index,
                   join(batch.names, ", "), error.what());
      return {};
    }
  }

 private:
  NamedValues values(const data::MicroBatch& samples, data::Batch batch) const {
    const bool design = spec_.model().design();
    if (design) batch.simplex = simplex_start(spec_, samples, batch);
    const sample::Sampled out = sample::sample(model_, spec_, batch, kMaxSteps, interrupt_);
    Means means;
    means.add("sample_evaluations", static_cast<double>(out.evaluations));
    std::vector<std::string> predicted, real;
    for (std::int64_t i = 0; i < out.atom14.size(0); ++i) {
      const std::int64_t residues = residues_of(batch, i);
      const Structure sampled(out.atom14[i], out.sequence[i], residues);
      const Structure given(given_calpha(batch, i), batch.seqres[i], residues);
      if (i == 0) {
        sample::write_pdb(run_folder_ / ("epoch" + std::to_string(epoch_) + "_" + batch.names.at(0) + ".pdb"),
                          sampled.trajectory());
      }
      measure(sampled, given, means);
      if (!design) continue;
      const at::Tensor types = out.aatype[i].narrow(-1, 0, residues);
      measure_recovery(types == batch.seqres[i].narrow(0, 0, residues), means);
      predicted.push_back(Structure(out.atom14[i], types[0], residues).letters());
      real.push_back(given.letters());
    }
    NamedValues named{.numbers = means.get(), .texts = {}};
    if (design) named.texts = {{"seq_pred", join(predicted, ",")}, {"seq_true", join(real, ",")}};
    return named;
  }

  const v1::JobSpec& spec_;
  std::filesystem::path run_folder_;
  std::int64_t epoch_;
  model::LatentModel& model_;
  std::function<void()> interrupt_;
};

}  // namespace

bool inference_due(const v1::JobSpec& spec, std::int64_t epoch) {
  const v1::LoopSpec& loop = spec.loop();
  if (loop.inference_batches() == 0) return false;
  return loop.validate() || (epoch + 1) % loop.designability_freq() == 0;
}

BatchVisitor sample_first_batches(const v1::JobSpec& spec, const std::filesystem::path& run_folder,
                                  std::int64_t epoch, model::LatentModel& model,
                                  std::function<void()> interrupt) {
  return Inference(spec, run_folder, epoch, model, std::move(interrupt));
}

}  // namespace mdgen::train
