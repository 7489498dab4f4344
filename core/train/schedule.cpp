#include "core/train/schedule.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/data/plan.h"

namespace mdgen::train {

bool validation_due(const v1::JobSpec& spec, const StepPlace& place) {
  const v1::LoopSpec& loop = spec.loop();
  if (loop.no_validate() || (place.epoch + 1) % std::max(1, loop.val_epoch_freq()) != 0) return false;
  if (!loop.has_val_freq()) return place.last_of_epoch;
  return place.applied_of_epoch % std::max<std::int64_t>(1, data::steps_of_batches(spec, loop.val_freq())) ==
         0;
}

bool checkpoint_due(const v1::JobSpec& spec, const StepPlace& place, bool validated) {
  const v1::CheckpointSpec& checkpoint = spec.checkpoint();
  if (checkpoint.every_steps() > 0 && place.applied % checkpoint.every_steps() == 0) return true;
  if (checkpoint.ckpt_freq() <= 0 || (place.epoch + 1) % checkpoint.ckpt_freq() != 0) return false;
  const v1::LoopSpec& loop = spec.loop();
  const bool by_validation = !loop.no_validate() && (loop.has_val_freq() || loop.val_epoch_freq() != 1);
  return by_validation ? validated : place.last_of_epoch;
}

bool print_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t total) {
  const std::int64_t every = spec.logging().print_freq();
  return applied == 1 || applied == total || (every > 0 && applied % every == 0);
}

bool iter_metrics_due(const v1::JobSpec& spec, std::int64_t applied) {
  const std::int64_t every = spec.logging().print_freq();
  return every > 0 && applied % every == 0;
}

double lr_at(const v1::OptimSpec& spec, std::int64_t step, std::int64_t total) {
  const double lr = spec.lr();
  const std::int64_t warmup = spec.warmup_steps();
  if (step < warmup) return lr * (static_cast<double>(step + 1) / static_cast<double>(warmup));
  const bool cosine = spec.lr_schedule() == "cosine";
  if (!cosine && spec.lr_schedule() != "linear") return lr;
  const double end = spec.lr_end_factor();
  const auto last = static_cast<double>(total - warmup - 1);
  const double done = last > 0 ? std::min(1.0, static_cast<double>(step - warmup) / last) : 0.0;
  if (!cosine) return lr * (1.0 + (end - 1.0) * done);
  return lr * (end + (1.0 - end) * (1.0 + std::cos(std::numbers::pi * done)) / 2.0);
}

std::optional<std::string> schedule_note(const v1::JobSpec& spec, std::int64_t step, std::int64_t planned,
                                         std::int64_t total) {
  if (planned == 0 || planned == total || step >= total) return std::nullopt;
  const double before = lr_at(spec.optim(), step, planned);
  const double now = lr_at(spec.optim(), step, total);
  if (before == now) return std::nullopt;
  return fmt::format(
      "the {} learning-rate schedule now ends at step {}, not {}: step {} has lr {:.6g} where it would have "
      "had {:.6g}",
      spec.optim().lr_schedule(), total, planned, step + 1, now, before);
}

void RateMeter::add(double seconds, std::int64_t tokens) {
  weight_ = weight_ * smoothing_ + 1;
  seconds_ = seconds_ * smoothing_ + seconds;
  tokens_ = tokens_ * smoothing_ + static_cast<double>(tokens);
}

std::optional<double> RateMeter::step_seconds() const {
  if (weight_ == 0) return std::nullopt;
  return seconds_ / weight_;
}

std::optional<double> RateMeter::tokens_per_second() const {
  if (seconds_ <= 0) return std::nullopt;
  return tokens_ / seconds_;
}

std::optional<double> RateMeter::eta_seconds(std::int64_t steps_left) const {
  const auto one = step_seconds();
  if (!one) return std::nullopt;
  return *one * static_cast<double>(steps_left);
}

std::string format_duration(std::optional<double> seconds) {
  if (!seconds || !std::isfinite(*seconds)) return "?";
  const auto total = static_cast<std::int64_t>(std::llround(*seconds));
  const std::int64_t days = total / 86400;
  const std::int64_t hours = total / 3600 % 24;
  const std::int64_t minutes = total / 60 % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, total % 60);
  return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
}

}  // namespace mdgen::train
