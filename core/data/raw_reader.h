// Windows of a data set's arrays, as they are stored. No LibTorch.
#pragma once

#include <cstdint>
#include <memory>

#include "core/data/micro_batches.h"
#include "core/data/raw_batch.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// Thread-safe.
class RawReader {
 public:
  // `manifest` is the train or the validation part; it must have entries.
  RawReader(const v1::JobSpec& resolved, const v1::Manifest& manifest);
  ~RawReader();

  // Reads what these virtual samples show in this epoch into a buffer of the pool. A sample whose array is
  // missing, truncated, not finite or not what the manifest says is bad: throws Error naming the file, or
  // under data.on_bad_sample: skip leaves it out and lists it; the length that the batch is padded to is that
  // of all samples nevertheless. Coordinates are float16 when all arrays of the batch are, else float32.
  RawBatch read(std::int64_t epoch, const MicroBatch& samples, BufferPool& buffers) const;

  // Has the system begin to fetch what read() will want.
  void read_ahead(std::int64_t epoch, const MicroBatch& samples) const noexcept;

  // Residues that a batch of these samples is padded to. Throws Error(kInvalidArgument) naming two proteins
  // of different length without atlas.
  std::int64_t batch_residues(const MicroBatch& samples) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::data
