#include "core/train/schedule.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

namespace mdgen::train {

bool checkpoint_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t epoch, bool last_of_epoch) {
  const v1::CheckpointSpec& checkpoint = spec.checkpoint();
  if (checkpoint.every_steps() > 0 && applied % checkpoint.every_steps() == 0) return true;
  return last_of_epoch && checkpoint.ckpt_freq() > 0 && (epoch + 1) % checkpoint.ckpt_freq() == 0;
}

bool validation_due(const v1::JobSpec& spec, std::int64_t epoch, bool last_of_epoch) {
  const v1::LoopSpec& loop = spec.loop();
  return last_of_epoch && !loop.no_validate() && loop.val_epoch_freq() > 0 &&
         (epoch + 1) % loop.val_epoch_freq() == 0;
}

bool print_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t total) {
  const std::int64_t every = spec.logging().print_freq();
  return applied == 1 || applied == total || (every > 0 && applied % every == 0);
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
