// A micro-batch as the files have it: what readers hand to whoever makes features of it. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/bad_sample.h"
#include "core/data/buffer_pool.h"
#include "core/data/draws.h"

namespace mdgen::data {

// Where the parts of a batch are in one buffer, so that one copy brings all of it to another device. Offsets
// are multiples of 64 bytes.
struct RawLayout {
  std::int64_t rows = 0;      // samples there is room for
  std::int64_t frames = 0;    // of each; one under copy_frames
  std::int64_t residues = 0;  // L, padding included
  bool half = false;          // coordinates are float16, else float32
  bool has_simplex = false;

  std::int64_t atoms = 0;       // (rows, frames, 1 + L, 14, 3): the residue before the window comes first
  std::int64_t types = 0;       // (rows, L) uint8
  std::int64_t integers = 0;    // (rows, kRawIntegers) int64
  std::int64_t flow_times = 0;  // (rows) float32
  std::int64_t simplex = 0;     // (rows, L, 20) float32
  std::int64_t bytes = 0;       // of all
};
RawLayout raw_layout(std::int64_t rows, std::int64_t frames, std::int64_t residues, bool half,
                     bool has_simplex);

// What `integers` has of each sample.
enum RawInteger : std::int64_t {
  kRawResidues,     // real ones, the others are padding
  kRawPredecessor,  // 1: the residue before the window is there; 0: zeros
  kRawFirstResidue,
  kRawEpoch,
  kRawSample,
  kRawDropoutKey,
  kRawIntegers,
};

struct RawSample {
  DrawKey key;
  Window window;
  float flow_time = 0;
  std::int32_t residues = 0;  // of the window
  std::string name;           // entry and replica, as "4ake_A_R1"
};

struct RawBatch {
  RawLayout layout;
  std::vector<RawSample> samples;  // those that could be read; they have the first rows
  BufferPool::Buffer bytes;        // as layout says; nothing when there are no samples
  std::vector<BadSample> bad_samples;
};

}  // namespace mdgen::data
