// Samples from arrays: window, crop, pad, features.
#pragma once

#include <cstdint>
#include <memory>

#include "core/data/batch.h"
#include "core/data/micro_batches.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// Thread-safe: load() may be called from any thread.
class Dataset {
 public:
  // `manifest` is the train or the validation part.
  Dataset(const v1::JobSpec& resolved, const v1::Manifest& manifest, int latent_channels);
  ~Dataset();

  // The micro-batch of these virtual samples in this epoch (kValidationEpoch for validation), on the CPU.
  // A sample whose array is missing, truncated, not finite or not what the manifest says is bad: throws Error
  // naming the file, or under data.on_bad_sample: skip leaves the sample out of the batch and lists it in its
  // bad_samples. The rows that remain are what they would be in a batch without the bad ones.
  Batch load(std::int64_t epoch, const MicroBatch& samples) const;

  // For micro_batches() and their costs.
  const SampleSizes& sizes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads micro-batches ahead with `threads` threads (0: in get(), on the caller's thread). The order of get()
// calls is the order of push() calls. At most threads + 1 micro-batches are held or being read; push() never
// waits. Not thread-safe itself; `dataset` must outlive it.
class Prefetcher {
 public:
  Prefetcher(const Dataset& dataset, int threads);
  ~Prefetcher();
  void push(std::int64_t epoch, MicroBatch samples);
  Batch get();   // throws what load() threw
  void clear();  // forgets what was pushed and not yet got

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::data
