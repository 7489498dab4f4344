#include "core/data/draws.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>

#include "core/base/error.h"
#include "core/base/philox.h"

namespace mdgen::data {
namespace {

constexpr std::int32_t kMaxResidues = 1 << 20;

PhiloxCounter draw(const DrawKey& key, DrawKind kind, std::uint32_t frame, std::uint32_t last) {
  return philox4x32({key.epoch, key.sample, static_cast<std::uint32_t>(kind) << 24 | frame, last},
                    philox_key(key.seed));
}

void check_residue(const char* caller, std::int32_t residue) {
  if (residue >= 0 && residue < kMaxResidues) return;
  throw Error(ErrorCode::kInternal,
              std::string(caller) + ": residue " + std::to_string(residue) + " does not fit the counter");
}

// Uniform in (0, 1) with 32 bits.
double inner_uniform(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1.0p-32; }

// Gamma(alpha, 1) by rejection (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000);
// below 1 by their boost. One counter an attempt.
double draw_gamma(const DrawKey& key, DrawKind kind, std::uint32_t last, double alpha) {
  const double shape = alpha < 1 ? alpha + 1 : alpha;
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (std::uint32_t attempt = 0;; ++attempt) {
    const PhiloxCounter words = draw(key, kind, attempt, last);
    const double x = std::sqrt(-2 * std::log(inner_uniform(words[0]))) *
                     std::cos(2 * std::numbers::pi * inner_uniform(words[1]));
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(inner_uniform(words[2])) >= x * x / 2 + d - d * v + d * std::log(v)) continue;
    return d * v * (alpha < 1 ? std::pow(inner_uniform(words[3]), 1 / alpha) : 1);
  }
}

void draw_dirichlet(const DrawKey& key, DrawKind kind, std::int32_t residue, int type, double alpha,
                    std::span<float, 20> out) {
  check_residue("draw_simplex", residue);
  if (!(alpha > 0)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a Dirichlet concentration must be above 0, not " + std::to_string(alpha));
  }
  double gammas[20];
  double sum = 0;
  for (int i = 0; i < 20; ++i) {
    const auto last = static_cast<std::uint32_t>(residue) << 12 | static_cast<std::uint32_t>(i);
    gammas[i] = draw_gamma(key, kind, last, i == type ? alpha : 1.0);
    sum += gammas[i];
  }
  std::transform(gammas, gammas + 20, out.begin(), [&](double g) { return static_cast<float>(g / sum); });
}

}  // namespace

WindowRules window_rules(const v1::JobSpec& resolved) {
  const v1::DataSpec& data = resolved.data();
  return {.num_frames = data.num_frames(),
          .crop = data.atlas() ? data.crop() : 0,
          .frame_interval = data.has_frame_interval() ? data.frame_interval() : 1,
          .first_only = data.overfit_frame(),
          .omit_last = resolved.reference_compat()};
}

std::int64_t frames_at_interval(std::int64_t frames, std::int32_t frame_interval) {
  return (frames + frame_interval - 1) / frame_interval;
}

Window draw_window(const DrawKey& key, const v1::ManifestEntry& entry, const WindowRules& rules) {
  if (entry.replicas_size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, entry.name() + ": no replica present");
  }
  const PhiloxCounter first = draw(key, DrawKind::kWindow, 0, 0);
  Window window;
  window.replica = static_cast<std::int32_t>(
      uniform_below(first[0], first[1], static_cast<std::uint64_t>(entry.replicas_size())));
  const v1::Replica& replica = entry.replicas(window.replica);
  const std::int64_t frames = frames_at_interval(replica.frames(), rules.frame_interval);
  if (rules.num_frames < 1 || frames < rules.num_frames) {
    throw Error(ErrorCode::kInvalidArgument, replica.file() + ": " + std::to_string(frames) +
                                                 " frames, num_frames is " +
                                                 std::to_string(rules.num_frames));
  }
  const std::int64_t last_start = frames - rules.num_frames;
  const std::int64_t starts = rules.omit_last ? std::max<std::int64_t>(last_start, 1) : last_start + 1;
  if (!rules.first_only) {
    window.frame_start =
        static_cast<std::int64_t>(uniform_below(first[2], first[3], static_cast<std::uint64_t>(starts)));
  }
  if (rules.crop > 0 && entry.residues() > rules.crop) {
    const PhiloxCounter second = draw(key, DrawKind::kWindow, 0, 1);
    const auto crops = static_cast<std::uint64_t>(entry.residues() - rules.crop) + 1;
    window.crop_start = static_cast<std::int32_t>(uniform_below(second[0], second[1], crops));
  }
  return window;
}

float draw_flow_time(const DrawKey& key) { return uniform_float(draw(key, DrawKind::kFlowTime, 0, 0)[0]); }

void draw_simplex(const DrawKey& key, std::int32_t residue, int type, double alpha,
                  std::span<float, 20> out) {
  draw_dirichlet(key, DrawKind::kSimplex, residue, type, alpha, out);
}

void draw_simplex_start(const DrawKey& key, std::int32_t residue, std::span<float, 20> out) {
  draw_dirichlet(key, DrawKind::kSimplexStart, residue, 0, 1.0, out);
}

std::int64_t draw_dropout_key(const DrawKey& key) {
  const PhiloxCounter words = draw(key, DrawKind::kDropout, 0, 0);
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(words[0]) << 32 | words[1]) >> 1);
}

std::uint64_t sample_hash(const DrawKey& key, const Window& window, float flow_time) {
  PhiloxCounter words = philox4x32({key.epoch, key.sample, static_cast<std::uint32_t>(window.replica),
                                    static_cast<std::uint32_t>(window.crop_start)},
                                   philox_key(static_cast<std::uint64_t>(window.frame_start)));
  words[0] ^= std::bit_cast<std::uint32_t>(flow_time);
  words = philox4x32(words, philox_key(0));
  return static_cast<std::uint64_t>(words[1] & 0xFFU) << 32 | words[0];
}

}  // namespace mdgen::data
