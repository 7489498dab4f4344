#include "core/model/flops.h"

#include <cmath>

namespace mdgen::model {
namespace {

constexpr double kTimeFeatures = 256;    // embeddings.cpp
constexpr double kFeedForward = 4;       // layers.cpp
constexpr double kLatentParts = 9;       // shifts, scales and gates of a layer
constexpr double kIpaParts = 6;          // likewise
constexpr double kFinalParts = 2;        // likewise
constexpr double kHyenaStreams = 3;      // hyena.cpp
constexpr double kHyenaTaps = 3;         // of its short filter
constexpr double kFilterWidth = 64;      // of the network that makes its long one
constexpr double kPositionFeatures = 3;  // which that network is given
constexpr double kFrame = 9;             // entries of a rotation

double linear(double rows, double in, double out) { return 2 * rows * in * out; }

double fourier(double length) { return 2.5 * length * std::log2(length); }

// `sequences` of `length`, each position against all and the bias token.
double attention(double width, double sequences, double length) {
  return 4 * linear(sequences * length, width, width) + 2 * linear(sequences * length, width, length + 1);
}

double ipa(const ModelConfig& config, double sequences, double length) {
  const double rows = sequences * length;
  const double width = config.embed_dim;
  const double heads = config.ipa_heads;
  const double scalars = heads * config.ipa_head_dim;
  const double asked = heads * config.ipa_qk;  // points
  const double told = heads * config.ipa_v;
  const double projections = linear(rows, width, 3 * scalars) + linear(rows, width, 3 * (2 * asked + told)) +
                             linear(rows, scalars + 4 * told, width);
  const double moved = 2 * rows * kFrame * (2 * asked + told + told);  // into the frames, and back
  const double pairs = 2 * rows * length * (scalars + 3 * asked + scalars + 3 * told);
  return projections + moved + pairs;
}

double feed_forward(double rows, double width) { return 2 * linear(rows, width, kFeedForward * width); }

double hyena(double width, double sequences, double length) {
  const double rows = sequences * length;
  const double filter = linear(length, kPositionFeatures, kFilterWidth) +
                        2 * linear(length, kFilterWidth, kFilterWidth) + linear(length, kFilterWidth, width) +
                        width * fourier(2 * length);
  const double mixed = sequences * width * (2 * fourier(2 * length) + 6 * (length + 1));
  return linear(rows, width, (kHyenaStreams + 1) * width) + 2 * rows * kHyenaStreams * width * kHyenaTaps +
         filter + mixed;
}

struct Sizes {
  double samples, frames, residues;
  double rows() const { return samples * frames * residues; }
};

// What the layers see of a batch.
Sizes seen(const ModelConfig& config, const BatchShape& batch) {
  const std::int64_t frames = config.mpnn ? 1 : config.dynamic_mpnn ? 2 : batch.frames;
  return {static_cast<double>(batch.samples), static_cast<double>(frames),
          static_cast<double>(batch.residues)};
}

// Attention and IPA of one layer.
double layer_attention(const ModelConfig& config, const Sizes& batch) {
  const double width = config.embed_dim;
  double one = attention(width, batch.samples * batch.frames, batch.residues);
  if (!config.hyena) one += attention(width, batch.samples * batch.residues, batch.frames);
  if (config.interleave_ipa) one += ipa(config, batch.samples * batch.frames, batch.residues);
  return one;
}

double layers(const ModelConfig& config, const Sizes& batch) {
  const double width = config.embed_dim;
  double one = linear(batch.samples, width, kLatentParts * width) + layer_attention(config, batch) +
               feed_forward(batch.rows(), width);
  if (config.hyena) one += hyena(width, batch.samples * batch.residues, batch.frames);
  return config.num_layers * one;
}

bool both_ways(const ModelConfig& config) {
  return config.has_relative_frames() && !config.sim_condition && !config.mpnn;
}

// Attention and IPA of one prepended layer.
double ipa_layer_attention(const ModelConfig& config, const Sizes& batch) {
  const double sequences = batch.samples * (both_ways(config) ? 2 : 1);
  return ipa(config, sequences, batch.residues) + attention(config.embed_dim, sequences, batch.residues);
}

// The prepended layers, on one frame.
double ipa_stack(const ModelConfig& config, const Sizes& batch) {
  if (!config.prepend_ipa) return 0;
  const double width = config.embed_dim;
  const double rows = batch.samples * batch.residues;
  const double streams = both_ways(config) ? 2 : 1;
  const double one = linear(streams * batch.samples, width, kIpaParts * width) +
                     ipa_layer_attention(config, batch) + feed_forward(streams * rows, width);
  return config.num_layers * one + (both_ways(config) ? 2 * linear(rows, kFrameChannels, width) : 0) +
         (config.design ? linear(rows, kSequenceChannels, width) : 0);
}

double ends(const ModelConfig& config, const Sizes& batch) {
  const double width = config.embed_dim;
  const double given = config.latent_dim - (config.design ? kSequenceChannels : 0);
  const double rows = batch.rows();
  double all =
      linear(rows, config.latent_dim + given, width) + linear(batch.samples, kTimeFeatures + width, width);
  if (config.design) {
    all += 2 * linear(rows, width, width) +
           linear(batch.samples * batch.residues, width, width + kSequenceChannels);
  }
  if (!config.is_sequence_model())
    all += linear(batch.samples, width, kFinalParts * width) + linear(rows, width, config.latent_dim);
  return all;
}

// What grad_checkpointing computes twice.
double recomputed(const ModelConfig& config, const Sizes& batch) {
  if (config.recomputes_layers()) return layers(config, batch);
  if (!config.recomputes_attention()) return 0;
  return config.num_layers *
         (layer_attention(config, batch) + (config.prepend_ipa ? ipa_layer_attention(config, batch) : 0));
}

}  // namespace

double forward_flops(const ModelConfig& config, const BatchShape& batch) {
  const Sizes sizes = seen(config, batch);
  return ends(config, sizes) + ipa_stack(config, sizes) + layers(config, sizes);
}

double training_flops(const ModelConfig& config, const BatchShape& batch) {
  return 3 * forward_flops(config, batch) + recomputed(config, seen(config, batch));
}

}  // namespace mdgen::model
