#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/bench/loader_bench.h"

namespace mdgen::bench {
namespace {

double rate(const PartTime& part) { return part.median_ms > 0 ? 1e3 / part.median_ms : 0; }

std::string line(const char* name, const PartTime& part, const std::string& note) {
  return fmt::format("{:<24}{:>10.2f}{:>10.2f}{:>12.1f}  {}\n", name, part.mean_ms, part.median_ms,
                     rate(part), note);
}

nlohmann::json object(const PartTime& part) {
  return {{"mean_ms", part.mean_ms}, {"median_ms", part.median_ms}, {"samples_per_s", rate(part)}};
}

}  // namespace

std::string table(const LoaderResult& result) {
  std::string text = fmt::format("{} samples of {}\n\n{:<24}{:>10}{:>10}{:>12}\n", result.samples,
                                 result.shape, "one thread, a sample", "mean ms", "median ms", "samples/s");
  text += line("host: read and check", result.host,
               fmt::format("{:.0f} MB/s", result.bytes * rate(result.host) / 1e6));
  text += line("features", result.features, "");
  text += line("noise", result.noise, result.noise_kernel);
  text += fmt::format(
      "\n{} workers, step: {}\n  {:.1f} samples/s ({:.1f} ms a sample)\n  wait {:.2f} ms a batch, {:.2f} % "
      "of the "
      "time; {:.1f} ms for the first\n  features {:.2f} % of a step's time, noise {:.2f} %\n",
      result.workers, result.step, result.rate(), result.step_ms(),
      result.batches > 0 ? result.waited_ms / result.batches : 0, 100 * result.wait_share(),
      result.first_wait_ms, 100 * result.features.median_ms / result.step_ms(),
      100 * result.noise.median_ms / result.step_ms());
  return text;
}

std::string json(const LoaderResult& result) {
  nlohmann::json host = object(result.host);
  host["bytes_per_sample"] = result.bytes;
  host["bytes_per_s"] = result.bytes * rate(result.host);
  nlohmann::json noise = object(result.noise);
  noise["kernel"] = result.noise_kernel;
  return nlohmann::json{{"shape", result.shape},
                        {"samples", result.samples},
                        {"host", host},
                        {"features", object(result.features)},
                        {"noise", noise},
                        {"feed",
                         {{"workers", result.workers},
                          {"step", result.step},
                          {"seconds", result.seconds},
                          {"samples_per_s", result.rate()},
                          {"bytes_per_s", result.bytes * result.rate()},
                          {"first_wait_ms", result.first_wait_ms},
                          {"wait_ms_per_batch", result.batches > 0 ? result.waited_ms / result.batches : 0},
                          {"wait_share", result.wait_share()},
                          {"feature_share", result.features.median_ms / result.step_ms()}}}}
      .dump(2);
}

}  // namespace mdgen::bench
