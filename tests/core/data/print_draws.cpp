// For tests in other languages: answers each line of JSON on standard input with one on standard output.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/data/draws.h"
#include "core/data/plan.h"

namespace {

using nlohmann::json;
using namespace mdgen::data;  // NOLINT: a program of one file

DrawKey key_of(const json& ask) { return {ask.at("seed"), ask.at("epoch"), ask.at("sample")}; }

SampleSizes sizes_of(const json& ask) {
  return {.residues = ask.at("residues").get<std::vector<std::int32_t>>(), .frames = 250, .width = 384};
}

json window(const json& ask) {
  mdgen::v1::ManifestEntry entry;
  entry.set_name("p");
  entry.set_residues(ask.at("residues"));
  for (const std::int64_t frames : ask.at("frames")) entry.add_replicas()->set_frames(frames);
  const DrawKey key = key_of(ask);
  const Window drawn = draw_window(key, entry,
                                   {.num_frames = ask.at("num_frames"),
                                    .crop = ask.at("crop"),
                                    .frame_interval = ask.at("frame_interval"),
                                    .omit_last = ask.at("omit_last")});
  const float flow_time = draw_flow_time(key);
  return {{"replica", drawn.replica},
          {"frame_start", drawn.frame_start},
          {"crop_start", drawn.crop_start},
          {"flow_time", flow_time},
          {"dropout_key", draw_dropout_key(key)},
          {"hash", sample_hash(key, drawn, flow_time)}};
}

json noise(const json& ask) {
  std::vector<float> out(ask.at("channels").get<std::size_t>());
  draw_noise(key_of(ask), ask.at("frame").get<std::int64_t>(), ask.at("residue").get<std::int32_t>(), out);
  return out;
}

json simplex(const json& ask) {
  std::vector<float> out(20);
  draw_simplex(key_of(ask), ask.at("residue"), ask.at("type"), ask.at("alpha"), std::span<float, 20>(out));
  return out;
}

json answer(const json& ask) {
  const std::string what = ask.at("what");
  if (what == "window") return window(ask);
  if (what == "noise") return noise(ask);
  if (what == "simplex") return simplex(ask);
  if (what == "order") return epoch_order(ask.at("seed"), ask.at("epoch"), ask.at("count"));
  if (what == "bucketed_order")
    return bucketed_order(ask.at("seed"), ask.at("epoch"), ask.at("count"), sizes_of(ask),
                          ask.at("step_size"));
  if (what == "micro_batches") return micro_batches(ask.at("samples"), sizes_of(ask), ask.at("batch_size"));
  throw std::invalid_argument("what is \"" + what + "\"?");
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(json::parse(line)) << '\n';
}
