#include "core/kernels/cpu/lane_attention.h"

#include <math.h>

#include "core/kernels/cpu/lane_product.h"
#include "core/kernels/cpu/vector_math.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {
namespace {

constexpr std::int64_t kQueries = 8;  // at a time

// Offsets in floats. A row has D vectors, one of all heads for each number.
struct Layout {
  Layout(std::int64_t positions, std::int64_t dim)
      : count(positions + 1),
        row(dim * kLanes),
        keys(0),
        values(keys + count * row),
        key_grads(values + count * row),
        value_grads(key_grads + count * row),
        queries(value_grads + count * row),
        out_grads(queries + kQueries * row),
        results(out_grads + kQueries * row),
        scores(results + kQueries * row),
        gradients(scores + kQueries * count * kLanes),
        size(gradients + kQueries * count * kLanes) {}
  std::int64_t count;  // keys: the positions and the token
  std::int64_t row;
  std::int64_t keys, values, key_grads, value_grads;  // (count, D)
  std::int64_t queries, out_grads, results;           // (kQueries, D)
  std::int64_t scores, gradients;                     // (kQueries, count)
  std::int64_t size;
};

// The columns of sixteen that cover D; the last may overlap the one before.
std::int64_t column_at(std::int64_t first, std::int64_t dim) {
  return first + kLanes <= dim ? first : dim - kLanes;
}

// Sixteen heads' rows of D numbers, side by side -> D vectors.
void read_heads(const InHeadRows& rows, std::int64_t s, std::int64_t dim, float* to) {
  for (std::int64_t first = 0; first < dim; first += kLanes) {
    const std::int64_t column = column_at(first, dim);
    Floats square[kLanes];
    for (std::int64_t head = 0; head < kLanes; ++head) {
      const std::int64_t at = s * rows.stride + head * dim + column;
      square[head] = rows.f32 != nullptr ? load(rows.f32 + at) : load_bf16(rows.bf16 + at);
    }
    transpose_square(square);
    for (std::int64_t d = 0; d < kLanes; ++d) store(to + (column + d) * kLanes, square[d]);
  }
}

void write_heads(const OutHeadRows& rows, std::int64_t s, std::int64_t dim, const float* from) {
  for (std::int64_t first = 0; first < dim; first += kLanes) {
    const std::int64_t column = column_at(first, dim);
    Floats square[kLanes];
    for (std::int64_t d = 0; d < kLanes; ++d) square[d] = load(from + (column + d) * kLanes);
    transpose_square(square);
    for (std::int64_t head = 0; head < kLanes; ++head) {
      const std::int64_t at = s * rows.stride + head * dim + column;
      if (rows.f32 != nullptr) {
        store(rows.f32 + at, square[head]);
      } else {
        store_bf16(rows.bf16 + at, square[head]);
      }
    }
  }
}

// Turns row s in place by its angle, or back by it, and scales it.
void turn(const HeadAttention& heads, std::int64_t s, float direction, float scale, float* row) {
  const std::int64_t half = heads.dim / 2;
  if (heads.cos == nullptr) {
    for (std::int64_t d = 0; d < heads.dim; ++d) store(row + d * kLanes, load(row + d * kLanes) * scale);
    return;
  }
  const float* cos = heads.cos + s * half;
  const float* sin = heads.sin + s * half;
  for (std::int64_t d = 0; d < half; ++d) {
    const Floats a = load(row + d * kLanes);
    const Floats b = load(row + (d + half) * kLanes);
    const float along = direction * sin[d];
    store(row + d * kLanes, (a * cos[d] - b * along) * scale);
    store(row + (d + half) * kLanes, (b * cos[d] + a * along) * scale);
  }
}

// Keys (turned) and values of the positions, then the token's.
void pack_keys(const HeadAttention& heads, const Layout& at, float* keys, float* values) {
  const InHeadRows token_k{heads.token_k, nullptr, 0};
  const InHeadRows token_v{heads.token_v, nullptr, 0};
  for (std::int64_t s = 0; s <= heads.positions; ++s) {
    const bool is_token = s == heads.positions;
    read_heads(is_token ? token_k : heads.k, is_token ? 0 : s, heads.dim, keys + s * at.row);
    read_heads(is_token ? token_v : heads.v, is_token ? 0 : s, heads.dim, values + s * at.row);
    turn(heads, s, 1, 1, keys + s * at.row);
  }
}

void pack_queries(const HeadAttention& heads, const Layout& at, std::int64_t first, std::int64_t count,
                  float* queries) {
  for (std::int64_t i = 0; i < count; ++i) {
    read_heads(heads.q, first + i, heads.dim, queries + i * at.row);
    turn(heads, first + i, 1, heads.scale, queries + i * at.row);
  }
}

// In place: a query's scores -> exp(score + bias - the greatest), and `log_sum` the logarithm of the sum of
// exp(score + bias). The sum of the results.
Floats exponentials(const float* bias, std::int64_t keys, float* scores, float* log_sum) {
  Floats most = load(scores) + bias[0];
  for (std::int64_t j = 1; j < keys; ++j) most = greater(most, load(scores + j * kLanes) + bias[j]);
  Floats total = {};
  for (std::int64_t j = 0; j < keys; ++j) {
    const Floats p = exp_flushed(load(scores + j * kLanes) + bias[j] - most);
    store(scores + j * kLanes, p);
    total += p;
  }
  for (std::int64_t i = 0; i < kLanes; ++i) log_sum[i] = logf(total[i]) + most[i];
  return total;
}

// In place: a query's scores -> probabilities p; gradients of probabilities g -> of scores, p (g - sum(p g)).
void score_gradients(const float* bias, const float* log_sum, std::int64_t keys, float* scores,
                     float* gradients) {
  const Floats log = load(log_sum);
  Floats mean = {};
  for (std::int64_t j = 0; j < keys; ++j) {
    const Floats p = exp_flushed(load(scores + j * kLanes) + bias[j] - log);
    store(scores + j * kLanes, p);
    mean += p * load(gradients + j * kLanes);
  }
  for (std::int64_t j = 0; j < keys; ++j) {
    float* of = gradients + j * kLanes;
    store(of, load(scores + j * kLanes) * (load(of) - mean));
  }
}

// `row` is free afterwards.
void add_token(std::int64_t dim, const float* from, float* row, float* to) {
  write_heads({row, nullptr, 0}, 0, dim, from);
  for (std::int64_t i = 0; i < dim * kLanes; i += kLanes) store(to + i, load(to + i) + load(row + i));
}

void write_key_gradients(const HeadAttentionBackward& heads, const Layout& at, float* keys, float* values,
                         float* row) {
  const HeadAttention& forward = heads.forward;
  for (std::int64_t s = 0; s <= forward.positions; ++s) {
    float* key = keys + s * at.row;
    float* value = values + s * at.row;
    turn(forward, s, -1, 1, key);
    if (s < forward.positions) {
      write_heads(heads.k_grad, s, forward.dim, key);
      write_heads(heads.v_grad, s, forward.dim, value);
      continue;
    }
    add_token(forward.dim, key, row, heads.token_k_grad);
    add_token(forward.dim, value, row, heads.token_v_grad);
  }
}

}  // namespace

std::int64_t lane_attention_workspace(std::int64_t positions, std::int64_t dim) {
  return Layout(positions, dim).size;
}

void lane_attention(const HeadAttention& heads, const OutHeadRows& out, float* log_sums) {
  const Layout at(heads.positions, heads.dim);
  const std::int64_t dim = heads.dim;
  float* const space = heads.workspace;
  const LaneMatrix keys{space + at.keys, dim, 1};
  const LaneMatrix values{space + at.values, dim, 1};
  const LaneMatrix queries{space + at.queries, dim, 1};
  const LaneMatrix results{space + at.results, dim, 1};
  const LaneMatrix scores{space + at.scores, at.count, 1};
  pack_keys(heads, at, keys.from, values.from);
  for (std::int64_t first = 0; first < heads.positions; first += kQueries) {
    const std::int64_t left = heads.positions - first;
    const std::int64_t count = left < kQueries ? left : kQueries;
    pack_queries(heads, at, first, count, queries.from);
    lane_product(count, at.count, dim, queries, keys.transposed(), scores, false);
    Floats sums[kQueries];
    for (std::int64_t i = 0; i < count; ++i)
      sums[i] = exponentials(heads.bias, at.count, scores.at(i, 0), log_sums + (first + i) * kLanes);
    lane_product(count, dim, at.count, scores, values, results, false);
    for (std::int64_t i = 0; i < count; ++i) {
      const Floats whole = 1.0F / sums[i];
      for (std::int64_t d = 0; d < dim; ++d) store(results.at(i, d), load(results.at(i, d)) * whole);
      write_heads(out, first + i, dim, results.at(i, 0));
    }
  }
}

void lane_attention_backward(const HeadAttentionBackward& heads) {
  const HeadAttention& forward = heads.forward;
  const Layout at(forward.positions, forward.dim);
  const std::int64_t dim = forward.dim;
  float* const space = forward.workspace;
  const LaneMatrix keys{space + at.keys, dim, 1};
  const LaneMatrix values{space + at.values, dim, 1};
  const LaneMatrix key_grads{space + at.key_grads, dim, 1};
  const LaneMatrix value_grads{space + at.value_grads, dim, 1};
  const LaneMatrix queries{space + at.queries, dim, 1};
  const LaneMatrix out_grads{space + at.out_grads, dim, 1};
  const LaneMatrix query_grads{space + at.results, dim, 1};
  const LaneMatrix scores{space + at.scores, at.count, 1};
  const LaneMatrix gradients{space + at.gradients, at.count, 1};
  pack_keys(forward, at, keys.from, values.from);
  for (std::int64_t first = 0; first < forward.positions; first += kQueries) {
    const std::int64_t left = forward.positions - first;
    const std::int64_t count = left < kQueries ? left : kQueries;
    pack_queries(forward, at, first, count, queries.from);
    for (std::int64_t i = 0; i < count; ++i) read_heads(heads.out_grad, first + i, dim, out_grads.at(i, 0));
    lane_product(count, at.count, dim, queries, keys.transposed(), scores, false);
    lane_product(count, at.count, dim, out_grads, values.transposed(), gradients, false);
    for (std::int64_t i = 0; i < count; ++i)
      score_gradients(forward.bias, heads.log_sums + (first + i) * kLanes, at.count, scores.at(i, 0),
                      gradients.at(i, 0));
    lane_product(at.count, dim, count, scores.transposed(), out_grads, value_grads, first > 0);
    lane_product(at.count, dim, count, gradients.transposed(), queries, key_grads, first > 0);
    lane_product(count, dim, at.count, gradients, keys, query_grads, false);
    for (std::int64_t i = 0; i < count; ++i) {
      turn(forward, first + i, -1, forward.scale, query_grads.at(i, 0));
      write_heads(heads.q_grad, first + i, dim, query_grads.at(i, 0));
    }
  }
  write_key_gradients(heads, at, key_grads.from, value_grads.from, queries.from);
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
