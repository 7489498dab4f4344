#include "core/kernels/cpu/head_attention.h"

#include <math.h>

#include "core/kernels/cpu/head_attention_layout.h"
#include "core/kernels/cpu/tile_product.h"
#include "core/kernels/cpu/vector_math.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {
namespace {

float from_bf16(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

std::uint16_t to_bf16(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if (value != value) return 0x7fc0U;
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

void read_row(const InHeadRows& rows, std::int64_t s, std::int64_t dim, float* to) {
  if (rows.f32 != nullptr) {
    const float* from = rows.f32 + s * rows.stride;
    for (std::int64_t d = 0; d < dim; ++d) to[d] = from[d];
  } else {
    const std::uint16_t* from = rows.bf16 + s * rows.stride;
    for (std::int64_t d = 0; d < dim; ++d) to[d] = from_bf16(from[d]);
  }
}

void write_row(const OutHeadRows& rows, std::int64_t s, std::int64_t dim, const float* from) {
  if (rows.f32 != nullptr) {
    float* to = rows.f32 + s * rows.stride;
    for (std::int64_t d = 0; d < dim; ++d) to[d] = from[d];
  } else {
    std::uint16_t* to = rows.bf16 + s * rows.stride;
    for (std::int64_t d = 0; d < dim; ++d) to[d] = to_bf16(from[d]);
  }
}

void clear(float* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) from[i] = 0;
}

// Turns row s in place by its angle, or back by it, and scales it.
void turn(const HeadAttention& head, std::int64_t s, float direction, float scale, float* row) {
  const std::int64_t half = head.dim / 2;
  if (head.cos == nullptr) {
    for (std::int64_t d = 0; d < head.dim; ++d) row[d] *= scale;
    return;
  }
  const float* cos = head.cos + s * half;
  const float* sin = head.sin + s * half;
  for (std::int64_t d = 0; d < half; ++d) {
    const float a = row[d];
    const float b = row[d + half];
    const float along = direction * sin[d];
    row[d] = (a * cos[d] - b * along) * scale;
    row[d + half] = (b * cos[d] + a * along) * scale;
  }
}

// Keys (turned) and values of the positions, then the token's; D numbers a row, the rest of a row zero.
void pack_keys(const HeadAttention& head, const Layout& at, float* keys, float* values) {
  const std::int64_t padding = at.width - head.dim;
  for (std::int64_t s = 0; s <= head.positions; ++s) {
    float* key = keys + s * at.width;
    float* value = values + s * at.width;
    if (s < head.positions) {
      read_row(head.k, s, head.dim, key);
      read_row(head.v, s, head.dim, value);
    } else {
      for (std::int64_t d = 0; d < head.dim; ++d) {
        key[d] = head.token_k[d];
        value[d] = head.token_v[d];
      }
    }
    turn(head, s, 1, 1, key);
    clear(key + head.dim, padding);
    clear(value + head.dim, padding);
  }
}

// Queries [first, first + count) of `lanes`, the rest zero.
struct Block {
  std::int64_t first, count, lanes;
  std::int64_t vectors() const { return lanes / kLanes; }
};

Block block_at(const HeadAttention& head, const Layout& at, std::int64_t first) {
  const std::int64_t left = head.positions - first;
  const std::int64_t count = left < at.lanes ? left : at.lanes;
  return {first, count, (count + kLanes - 1) / kLanes * kLanes};
}

// (lanes, width) -> (width, lanes), or back.
void transpose(const float* from, std::int64_t rows, std::int64_t columns, std::int64_t from_stride,
               float* to, std::int64_t to_stride) {
  for (std::int64_t r = 0; r < rows; r += kLanes) {
    for (std::int64_t c = 0; c < columns; c += kLanes)
      transpose16(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
  }
}

void pack_queries(const HeadAttention& head, const Layout& at, const Block& block, float* rows,
                  float* turned) {
  for (std::int64_t i = 0; i < block.lanes; ++i) {
    float* row = rows + i * at.width;
    if (i >= block.count) {
      clear(row, at.width);
      continue;
    }
    read_row(head.q, block.first + i, head.dim, row);
    turn(head, block.first + i, 1, head.scale, row);
    clear(row + head.dim, at.width - head.dim);
  }
  transpose(rows, block.lanes, at.width, at.width, turned, block.lanes);
}

void pack_out_gradient(const HeadAttentionBackward& head, const Layout& at, const Block& block, float* rows,
                       float* turned) {
  const std::int64_t dim = head.forward.dim;
  for (std::int64_t i = 0; i < block.lanes; ++i) {
    float* row = rows + i * at.width;
    if (i >= block.count) {
      clear(row, at.width);
      continue;
    }
    read_row(head.out_grad, block.first + i, dim, row);
    clear(row + dim, at.width - dim);
  }
  transpose(rows, block.lanes, at.width, at.width, turned, block.lanes);
}

// In place: scores (keys, lanes) -> exp(score + bias - the query's greatest). Sums to `sums` and the
// logarithm of the sums of exp(score + bias) to `log_sums`, a float each lane.
void exponentials(const float* bias, std::int64_t keys, std::int64_t lanes, float* scores, float* sums,
                  float* log_sums) {
  for (std::int64_t lane = 0; lane < lanes; lane += kLanes) {
    float* column = scores + lane;
    Floats most = load(column) + bias[0];
    for (std::int64_t j = 1; j < keys; ++j) most = greater(most, load(column + j * lanes) + bias[j]);
    Floats total = {};
    for (std::int64_t j = 0; j < keys; ++j) {
      const Floats p = exp_flushed(load(column + j * lanes) + bias[j] - most);
      store(column + j * lanes, p);
      total += p;
    }
    store(sums + lane, total);
    for (std::int64_t i = 0; i < kLanes; ++i) log_sums[lane + i] = logf(total[i]) + most[i];
  }
}

// In place: scores -> probabilities p; gradients of probabilities g -> of scores, p (g - sum(p g)).
void score_gradients(const float* bias, const float* log_sums, std::int64_t keys, std::int64_t lanes,
                     float* scores, float* gradients) {
  for (std::int64_t lane = 0; lane < lanes; lane += kLanes) {
    const Floats log_sum = load(log_sums + lane);
    Floats mean = {};
    for (std::int64_t j = 0; j < keys; ++j) {
      float* at = scores + j * lanes + lane;
      const Floats p = exp_flushed(load(at) + bias[j] - log_sum);
      store(at, p);
      mean += p * load(gradients + j * lanes + lane);
    }
    for (std::int64_t j = 0; j < keys; ++j) {
      float* at = gradients + j * lanes + lane;
      store(at, load(scores + j * lanes + lane) * (load(at) - mean));
    }
  }
}

void write_key_gradients(const HeadAttentionBackward& head, const Layout& at, float* keys, float* values) {
  const HeadAttention& forward = head.forward;
  for (std::int64_t s = 0; s <= forward.positions; ++s) {
    float* key = keys + s * at.width;
    float* value = values + s * at.width;
    turn(forward, s, -1, 1, key);
    if (s < forward.positions) {
      write_row(head.k_grad, s, forward.dim, key);
      write_row(head.v_grad, s, forward.dim, value);
      continue;
    }
    for (std::int64_t d = 0; d < forward.dim; ++d) {
      head.token_k_grad[d] += key[d];
      head.token_v_grad[d] += value[d];
    }
  }
}

}  // namespace

std::int64_t head_attention_workspace(std::int64_t positions, std::int64_t dim) {
  return Layout(positions, dim).size;
}

void head_attention(const HeadAttention& head, const OutHeadRows& out, float* log_sums) {
  const Layout at(head.positions, head.dim);
  float* const space = head.workspace;
  float* const keys = space + at.keys;
  float* const values = space + at.values;
  float* const rows = space + at.rows;
  float* const turned = space + at.turned;
  float* const scores = space + at.scores;
  float* const sums = space + at.sums;
  float* const logs = sums + at.lanes;
  pack_keys(head, at, keys, values);
  for (std::int64_t first = 0; first < head.positions; first += at.lanes) {
    const Block block = block_at(head, at, first);
    pack_queries(head, at, block, rows, turned);
    product(at.count, block.vectors(), head.dim, {keys, at.width, 1}, turned, block.lanes, scores,
            block.lanes, false);
    exponentials(head.bias, at.count, block.lanes, scores, sums, logs);
    product(head.dim, block.vectors(), at.count, {values, 1, at.width}, scores, block.lanes, turned,
            block.lanes, false);
    transpose(turned, at.width, block.lanes, block.lanes, rows, at.width);
    for (std::int64_t i = 0; i < block.count; ++i) {
      float* row = rows + i * at.width;
      const float whole = 1.0F / sums[i];
      for (std::int64_t d = 0; d < head.dim; ++d) row[d] *= whole;
      write_row(out, first + i, head.dim, row);
      log_sums[first + i] = logs[i];
    }
  }
}

void head_attention_backward(const HeadAttentionBackward& head) {
  const HeadAttention& forward = head.forward;
  const std::int64_t dim = forward.dim;
  const Layout at(forward.positions, dim);
  float* const space = forward.workspace;
  float* const keys = space + at.keys;
  float* const values = space + at.values;
  float* const rows = space + at.rows;
  float* const turned = space + at.turned;
  float* const grad_rows = space + at.grad_rows;
  float* const grad_turned = space + at.grad_turned;
  float* const scores = space + at.scores;
  float* const gradients = space + at.gradients;
  float* const logs = space + at.sums;
  float* const key_grads = space + at.key_grads;
  float* const value_grads = space + at.value_grads;
  pack_keys(forward, at, keys, values);
  const std::int64_t width_vectors = at.width / kLanes;
  for (std::int64_t first = 0; first < forward.positions; first += at.lanes) {
    const Block block = block_at(forward, at, first);
    const std::int64_t lanes = block.lanes;
    const bool more = first > 0;
    pack_queries(forward, at, block, rows, turned);
    pack_out_gradient(head, at, block, grad_rows, grad_turned);
    for (std::int64_t i = 0; i < lanes; ++i) logs[i] = i < block.count ? head.log_sums[first + i] : 0;
    product(at.count, block.vectors(), dim, {keys, at.width, 1}, turned, lanes, scores, lanes, false);
    product(at.count, block.vectors(), dim, {values, at.width, 1}, grad_turned, lanes, gradients, lanes,
            false);
    score_gradients(forward.bias, logs, at.count, lanes, scores, gradients);
    product(at.count, width_vectors, block.count, {scores, lanes, 1}, grad_rows, at.width, value_grads,
            at.width, more);
    product(at.count, width_vectors, block.count, {gradients, lanes, 1}, rows, at.width, key_grads, at.width,
            more);
    product(dim, block.vectors(), at.count, {keys, 1, at.width}, gradients, lanes, turned, lanes, false);
    transpose(turned, at.width, lanes, lanes, rows, at.width);
    for (std::int64_t i = 0; i < block.count; ++i) {
      float* row = rows + i * at.width;
      turn(forward, first + i, -1, forward.scale, row);
      write_row(head.q_grad, first + i, dim, row);
    }
  }
  write_key_gradients(head, at, key_grads, value_grads);
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
