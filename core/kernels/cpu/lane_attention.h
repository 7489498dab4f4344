// The kernel of core/kernels/token_attention.h for short sequences: sixteen heads of one sequence at a time,
// one in each lane of a vector, so that no lane is idle however few positions there are. The same sums in the
// same order as head_attention.h, in float32.
#pragma once

#include <cstdint>

#include "core/kernels/cpu/head_attention.h"

namespace mdgen::kernels::cpu {

inline constexpr std::int64_t kHeadLanes = 16;
inline constexpr std::int64_t kLeastLaneDim = 16;  // D

}  // namespace mdgen::kernels::cpu

// The arguments are head_attention's, each for sixteen heads that follow each other: rows hold 16 D numbers,
// token_k, token_v and their gradients have as many. log_sums: (S, 16). D is at least kLeastLaneDim.
MDGEN_IN_EVERY_SET(std::int64_t lane_attention_workspace(std::int64_t positions, std::int64_t dim);
                   void lane_attention(const HeadAttention& heads, const OutHeadRows& out, float* log_sums);
                   void lane_attention_backward(const HeadAttentionBackward& heads);)
