// Proteins' arrays as tensors.
#pragma once

#include <torch/torch.h>

#include "core/data/split.h"
#include "core/sample/program/array_file.h"
#include "core/sample/program/session.h"

namespace mdgen::sample {

// {data_dir}/{name}{suffix}.npy, absolute.
std::filesystem::path array_path(const Options& options, const std::string& name);
ArrayFile open_array(const Session& session, const data::SplitRow& row);

// (count, L, 14, 3) float32 in Å.
at::Tensor read_frames(const ArrayFile& array, std::int64_t first, std::int64_t count,
                       std::int64_t stride = 1);

}  // namespace mdgen::sample
