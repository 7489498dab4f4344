// The residue constants as tensors.
#pragma once

#include <torch/torch.h>

#include <array>
#include <type_traits>

namespace mdgen::protein {

namespace detail {

template <typename T>
struct Nested {
  using Scalar = T;
  static void append_sizes(std::vector<std::int64_t>&) {}
};
template <typename T, std::size_t N>
struct Nested<std::array<T, N>> {
  using Scalar = typename Nested<T>::Scalar;
  static void append_sizes(std::vector<std::int64_t>& sizes) {
    sizes.push_back(static_cast<std::int64_t>(N));
    Nested<T>::append_sizes(sizes);
  }
};

}  // namespace detail

// The rows of a constant table for each residue type in `aatype` (*) int64: (*, …). Tables of int become
// int64, others `dtype`.
template <typename Table>
at::Tensor rows_by_type(const Table& table, const at::Tensor& aatype, at::ScalarType dtype = at::kFloat) {
  using Scalar = typename detail::Nested<Table>::Scalar;
  constexpr bool kIndices = std::is_same_v<Scalar, int>;
  std::vector<std::int64_t> sizes;
  detail::Nested<Table>::append_sizes(sizes);
  const at::Tensor constants = at::from_blob(const_cast<void*>(static_cast<const void*>(&table)), sizes,
                                             at::TensorOptions().dtype(kIndices ? at::kInt : at::kFloat))
                                   .to(aatype.device(), kIndices ? at::kLong : dtype);
  std::vector<std::int64_t> out = aatype.sizes().vec();
  out.insert(out.end(), sizes.begin() + 1, sizes.end());
  return constants.index_select(0, aatype.reshape({-1})).view(out);
}

}  // namespace mdgen::protein
