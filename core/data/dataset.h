// Samples from arrays: window, crop, pad, features.
#pragma once

#include <cstdint>
#include <memory>

#include "core/data/batch.h"
#include "core/data/micro_batches.h"
#include "core/data/raw_reader.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// A batch is made in two parts: reader().read() on the host, and features() by tensor operations on the
// device that trains. Thread-safe.
class Dataset {
 public:
  // `manifest` is the train or the validation part.
  Dataset(const v1::JobSpec& resolved, const v1::Manifest& manifest, int latent_channels);
  ~Dataset();

  const RawReader& reader() const;

  // `bytes` (raw.layout.bytes) uint8: the contents of raw.bytes, on any device, which the batch will be on.
  // The batch keeps neither. On the CPU the noise is the host's, elsewhere device_noise.h's. raw has samples.
  Batch features(const RawBatch& raw, const at::Tensor& bytes) const;

  // Both parts on the CPU: the micro-batch of these virtual samples in this epoch (kValidationEpoch for
  // validation). Bad samples: as RawReader::read() says. The rows that remain are what they would be in a
  // batch without the bad ones, but for the padding.
  Batch load(std::int64_t epoch, const MicroBatch& samples) const;

  // For micro_batches() and their costs.
  const SampleSizes& sizes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::data
