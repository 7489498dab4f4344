// One array against what it should be: at submit against the split and the spec, in use against the manifest.
// No LibTorch.
#pragma once

#include <cstdint>
#include <string>

#include "core/format/npy_file.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// "" when an array of an entry with this many residues can be used, else why not: dtype, byte or memory
// order, rank and shape, residues, fewer frames than num_frames x frame_interval asks for.
std::string header_problem(const format::NpyHeader& header, const std::string& entry, std::int64_t residues,
                           const v1::DataSpec& data);

// What the manifest keeps of a file: frames, dtype, bytes, mtime_ns, probe.
void describe_array(const format::NpyFile& file, v1::Replica& replica);

// 64 bits of the SHA-256 of parts of the data: all of a file of at most 64 KiB, of a larger one four pieces
// of 4 KiB, the first at the data's beginning, the last at the file's end. Never 0.
std::uint64_t content_probe(const format::NpyFile& file);

// Whether two times of modification may be one: some file systems and servers keep whole seconds.
bool same_mtime(std::int64_t one_ns, std::int64_t other_ns);

// Throws Error(kDataLoss) naming the file when it is not what it was when the manifest was made: size, shape,
// dtype, or another time of modification and another probe. With another time and the same probe it counts as
// a copy, or as touched: the log says so, once a file. A replica whose mtime_ns or probe is 0 is not compared
// in that.
void check_unchanged(const format::NpyFile& file, const v1::Replica& replica, std::int64_t residues);

}  // namespace mdgen::data
