// When the loop does what: pure functions of the spec, the step and the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

// A step that has just ended.
struct StepPlace {
  std::int64_t applied = 0;           // steps, this one included
  std::int64_t epoch = 0;             // this step's, from 0
  std::int64_t applied_of_epoch = 0;  // steps of this epoch, this one included
  bool last_of_epoch = false;
};

// At the end of every val_epoch_freq-th epoch; with val_freq, every that many batches within such an epoch
// instead (counted from its beginning, as Lightning does).
bool validation_due(const v1::JobSpec& spec, const StepPlace& place);
// Every every_steps steps; and in every ckpt_freq-th epoch at its end, or, when val_freq is given or
// val_epoch_freq is not 1, after each validation (`validated`: there was one after this step). Without any
// validation always at the epoch's end.
bool checkpoint_due(const v1::JobSpec& spec, const StepPlace& place, bool validated);
// A progress line: the first, the last, and every print_freq-th step.
bool print_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t total);
// The reference's "iter_" metrics: every print_freq-th step.
bool iter_metrics_due(const v1::JobSpec& spec, std::int64_t applied);

// The learning rate of step `step` (from 0) of `total` steps. With W warm-up steps and e = lr_end_factor:
//   step < W    lr (step + 1) / W                           LinearLR(start_factor=1/W, total_iters=W-1)
//   constant    lr
//   linear      lr (1 + (e - 1) p)                          LinearLR(1, e, total_iters=total-W-1)
//   cosine      lr (e + (1 - e) (1 + cos(pi p)) / 2)        CosineAnnealingLR(total-W-1, eta_min=e lr)
// where p = (step - W) / (total - W - 1) is 0 at the first step after the warm-up and 1 at the last one (a
// single such step has p = 0). The right column names torch.optim.lr_scheduler's equivalents.
double lr_at(const v1::OptimSpec& spec, std::int64_t step, std::int64_t total);

// What a resumed run should say when its schedule was made for another number of steps: the rate follows the
// new length from here on, so it jumps. Nothing for a constant rate, an equal length, or when `planned` is 0.
std::optional<std::string> schedule_note(const v1::JobSpec& spec, std::int64_t step, std::int64_t planned,
                                         std::int64_t total);

// Exponentially smoothed step time and throughput: the weight of a step that lies n steps back is
// smoothing^n. Pure but for the sums it holds.
class RateMeter {
 public:
  explicit RateMeter(double smoothing = 0.95) : smoothing_(smoothing) {}

  void add(double seconds, std::int64_t tokens);
  std::optional<double> step_seconds() const;                        // nothing before the first step
  std::optional<double> tokens_per_second() const;                   // nothing before the first second
  std::optional<double> eta_seconds(std::int64_t steps_left) const;  // nothing before the first step

 private:
  double smoothing_;
  double weight_ = 0;
  double seconds_ = 0;
  double tokens_ = 0;
};

// "1:02:03", "2d 01:02:03"; "?" for nothing.
std::string format_duration(std::optional<double> seconds);

}  // namespace mdgen::train
