#include <algorithm>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/config/combinations.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

void fill_defaults(JobSpec& spec) {
  for (const Field& field : Schema::get().fields()) {
    if (field.rules.support() == v1::NEVER_READ || get_value(spec, field)) continue;
    if (const auto value = default_value(field)) set_value(spec, field, *value);
  }
}

// The short names of the reference's trainer mean the same as its long ones.
void name_precision(v1::OptimSpec& optim) {
  static const std::map<std::string, std::string> long_names = {
      {"64", "64-true"}, {"32", "32-true"}, {"16", "16-mixed"}, {"bf16", "bf16-mixed"}};
  if (const auto found = long_names.find(optim.precision()); found != long_names.end()) {
    optim.set_precision(found->second);
  }
}

void derive(JobSpec& spec) {
  // What is measured depends on the machine.
  if (spec.determinism() == "strict" && spec.optim().precision() == "auto") {
    spec.mutable_optim()->set_precision("32-true");
  }
  // The bits of a product depend on the number of threads, so it must not follow from the workers' number.
  if (spec.determinism() == "strict" && spec.threads_per_worker() == 0) spec.set_threads_per_worker(1);
  v1::WorkerRange& workers = *spec.mutable_workers();
  if (!workers.has_max()) workers.set_max(workers.min());
  if (spec.has_global_batch_size()) return;
  const std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  const std::int64_t batch = spec.optim().batch_size();
  const std::int64_t accumulate = spec.optim().accumulate_grad();
  // Each factor is below 2^31: multiply one at a time.
  if (batch * accumulate > limit || batch * accumulate * workers.max() > limit) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "global_batch_size would be batch_size x accumulate_grad x workers.max = " + std::to_string(batch) +
            " x " + std::to_string(accumulate) + " x " + std::to_string(workers.max()) + ", over " +
            std::to_string(limit) + "; lower one of them or give global_batch_size");
  }
  spec.set_global_batch_size(static_cast<std::int32_t>(batch * accumulate * workers.max()));
}

void make_paths_absolute(JobSpec& spec, const std::filesystem::path& base) {
  const std::filesystem::path root = std::filesystem::absolute(base);
  for (const Field& field : Schema::get().fields()) {
    const auto value = field.rules.path() ? get_value(spec, field) : std::nullopt;
    if (!value) continue;
    std::filesystem::path path = (root / std::get<std::string>(*value)).lexically_normal();
    if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
    set_value(spec, field, path.string());
  }
}

}  // namespace

std::vector<std::string> warnings(const JobSpec& spec) {
  std::vector<std::string> texts;
  for (const Field& field : Schema::get().fields()) {
    if (field.rules.support() == v1::NEVER_READ && get_value(spec, field)) {
      texts.push_back(field.key + " has no effect: the reference parses it and never reads it");
    }
  }
  const JobSpec& defaults = default_spec();
  const bool reads_crop = spec.data().atlas() || spec.model().abs_pos_emb();
  if (!reads_crop && spec.data().crop() != defaults.data().crop()) {
    texts.push_back("data.crop has no effect: it is read under atlas and for abs_pos_emb only");
  }
  if (!spec.optim().ema() && spec.optim().ema_decay() != defaults.optim().ema_decay()) {
    texts.push_back("optim.ema_decay has no effect without optim.ema");
  }
  const bool decays = spec.optim().lr_schedule() == "cosine" || spec.optim().lr_schedule() == "linear";
  if (!decays && spec.optim().lr_end_factor() != defaults.optim().lr_end_factor()) {
    texts.push_back("optim.lr_end_factor has no effect with optim.lr_schedule = \"" +
                    spec.optim().lr_schedule() + "\"");
  }
  if (!spec.logging().teaching_ipa().empty() && !spec.model().prepend_ipa()) {
    texts.push_back("logging.teaching_ipa has no effect without model.prepend_ipa");
  }
  if (spec.data().overfit() && spec.data().val_repeat() != defaults.data().val_repeat()) {
    texts.push_back(
        "data.val_repeat has no effect under data.overfit: the validation set is the training set");
  }
  const bool repeats = spec.data().train_repeat() != 1 || spec.data().val_repeat() != 1;
  if (!spec.data().overfit_peptide().empty() && repeats) {
    texts.push_back(
        "data.train_repeat and data.val_repeat have no effect under data.overfit_peptide, which is "
        "used 1000 times");
  }
  const std::int64_t batch = std::max(1, spec.optim().batch_size());
  const std::int64_t micro_batches = (spec.global_batch_size() + batch - 1) / batch;
  if (micro_batches < spec.workers().max()) {
    texts.push_back("a step of global_batch_size = " + std::to_string(spec.global_batch_size()) + " has " +
                    std::to_string(micro_batches) + " micro-batches: fewer than workers.max = " +
                    std::to_string(spec.workers().max()) + " workers can work on");
  }
  for (std::string& text : idle_flags(spec)) texts.push_back(std::move(text));
  return texts;
}

const JobSpec& default_spec() {
  static const JobSpec spec = [] {
    JobSpec defaults;
    fill_defaults(defaults);
    return defaults;
  }();
  return spec;
}

Resolved resolve(JobSpec spec, const std::filesystem::path& base) {
  fill_defaults(spec);
  name_precision(*spec.mutable_optim());
  derive(spec);
  make_paths_absolute(spec, base);
  check(spec);
  std::vector<std::string> texts = warnings(spec);
  return {std::move(spec), std::move(texts)};
}

}  // namespace mdgen::config
