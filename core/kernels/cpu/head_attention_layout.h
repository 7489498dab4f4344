// Where head_attention.cpp keeps its intermediate matrices in its workspace.
#pragma once

#include <cstdint>

#include "core/kernels/cpu/vector.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {

constexpr std::int64_t kQueries = 48;        // at a time
constexpr std::int64_t kTileFloats = 65536;  // of scores, 256 KiB, unless one vector of queries takes more

struct Layout {
  constexpr Layout(std::int64_t positions, std::int64_t dim)
      : count(positions + 1),
        width((dim + kLanes - 1) / kLanes * kLanes),
        lanes(queries(positions)),
        keys(0),
        values(keys + count * width),
        key_grads(values + count * width),
        value_grads(key_grads + count * width),
        rows(value_grads + count * width),
        turned(rows + lanes * width),
        grad_rows(turned + lanes * width),
        grad_turned(grad_rows + lanes * width),
        scores(grad_turned + lanes * width),
        gradients(scores + count * lanes),
        sums(gradients + count * lanes),
        size(sums + 2 * lanes) {}

  static constexpr std::int64_t queries(std::int64_t positions) {
    std::int64_t lanes = (positions + kLanes - 1) / kLanes * kLanes;
    if (lanes > kQueries) lanes = kQueries;
    while (lanes > kLanes && lanes * (positions + 1) > kTileFloats) lanes -= kLanes;
    return lanes;
  }

  std::int64_t count;  // keys: the positions and the token
  std::int64_t width;  // D, rounded up to whole vectors
  std::int64_t lanes;  // queries at a time
  // Offsets in floats, multiples of 16: (count, width), (lanes, width) or (width, lanes), (count, lanes).
  std::int64_t keys, values, key_grads, value_grads;
  std::int64_t rows, turned, grad_rows, grad_turned;
  std::int64_t scores, gradients;
  std::int64_t sums;  // (2, lanes)
  std::int64_t size;
};

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
