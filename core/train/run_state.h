// Everything that training changes: model, optimizer, moving average and how far the run is.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/train_state.h"
#include "core/model/latent_model.h"
#include "core/train/loss_scaler.h"
#include "core/train/numerics.h"
#include "core/train/optimizer.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

struct Progress {
  std::int64_t steps = 0;    // applied (or skipped for a non-finite gradient: the samples are consumed)
  std::int64_t epoch = 0;    // of the last of them
  std::int64_t samples = 0;  // consumed by them
};

// Not thread-safe. Tensors live on `device` and keep their storage for life: gradient buffers and optimizer
// hold on to them. Under bf16-true the model's parameters are bfloat16 copies of float32 master weights;
// master weights are what the optimizer moves, the average follows and checkpoints hold. Otherwise the two
// are one.
class RunState {
 public:
  // Initial weights: a function of the spec's seed alone.
  RunState(const v1::JobSpec& resolved, at::Device device);

  model::LatentModel& model() { return model_; }
  // The model's trainable parameters; their gradients have the optimizer's type.
  const NamedTensors& parameters() const { return parameters_; }
  const Precision& precision() const { return precision_; }
  // In which matrix products of the next steps are computed: what optim.precision: auto leaves open.
  void set_autocast(std::optional<at::ScalarType> type) { precision_.autocast = type; }
  LossScaler* scaler() { return scaler_ ? &*scaler_ : nullptr; }  // with 16-mixed
  std::vector<at::Tensor> parameter_list() const;
  std::int64_t parameter_count() const;
  Progress& progress() { return progress_; }
  const Progress& progress() const { return progress_; }

  // Of the next steps.
  void set_lr(double lr) { adam_->set_lr(lr); }
  // One optimizer step with the gradients that the parameters hold: Adam, then the moving average; `between`
  // them comes what a test does there.
  void apply_gradients(const std::function<void()>& between = {});
  // The parameters hold no gradients any more.
  void drop_gradients();

  // Odd while the state is being changed and after a change that did not come to its end, until restore().
  std::int64_t version() const { return version_; }
  bool is_whole() const { return version_ % 2 == 0; }
  // All that one step changes, its counters included, lies between construction and complete().
  class Change {
   public:
    explicit Change(RunState& state) : state_(state) { state_.version_ |= 1; }
    void complete() { ++state_.version_; }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    RunState& state_;
  };

  // The live tensors, not copies; with 16-mixed the optimizer's also hold "scaler.scale" (float32) and
  // "scaler.growth_tracker" (int64). Digests and spec_json are left to the caller.
  checkpoint::TrainState live() const;
  // Takes over a checkpoint's tensors and counters. Throws Error listing what does not fit.
  void restore(const checkpoint::TrainState& saved);
  // state_digest() of live().
  std::string digest() const;

  // While it lives, the model holds the moving average's weights (or its own when none is kept).
  class AveragedWeights {
   public:
    explicit AveragedWeights(RunState& state);
    ~AveragedWeights();
    AveragedWeights(const AveragedWeights&) = delete;
    AveragedWeights& operator=(const AveragedWeights&) = delete;

   private:
    RunState& state_;
    std::map<std::string, at::Tensor> own_;
  };

 private:
  NamedTensors weights() const;  // master weights and buffers, by their state_dict names
  void masters_to_model();

  Precision precision_;
  model::LatentModel model_{nullptr};
  NamedTensors parameters_;
  NamedTensors masters_;  // by parameter; the parameters themselves unless precision_.has_masters()
  std::optional<LossScaler> scaler_;
  std::optional<Adam> adam_;
  std::optional<Ema> ema_;
  Progress progress_;
  std::int64_t version_ = 0;
};

}  // namespace mdgen::train
