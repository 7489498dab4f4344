#include "core/sample/program/arrays.h"

namespace mdgen::sample {

std::filesystem::path array_path(const Options& options, const std::string& name) {
  return std::filesystem::weakly_canonical(options.data_dir / (name + options.suffix.value_or("") + ".npy"));
}

ArrayFile open_array(const Session& session, const data::SplitRow& row) {
  return {array_path(session.options(), row.name), static_cast<std::int32_t>(row.seqres.size())};
}

at::Tensor read_frames(const ArrayFile& array, std::int64_t first, std::int64_t count, std::int64_t stride) {
  const std::vector<float> values = array.read(first, count, stride);
  return torch::tensor(values).view({count, -1, 14, 3});
}

}  // namespace mdgen::sample
