#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/bench/step_bench.h"

namespace mdgen::bench {
namespace {

std::string line(const char* name, double seconds, double step) {
  return fmt::format("  {:<12}{:>10.4f} s{:>8.1f} %\n", name, seconds, step > 0 ? 100 * seconds / step : 0);
}

}  // namespace

std::string table(const StepResult& result) {
  const StepOptions& options = result.options;
  const StepParts& parts = result.parts;
  std::string text = fmt::format("B {} T {} L {} ({} real), {}, {}, {} threads, {} steps\n\n",
                                 options.samples, options.frames, options.residues, options.valid_residues(),
                                 options.precision, options.device, result.threads, options.steps);
  text += fmt::format("  {:<12}{:>10.4f} s  (least {:.4f})\n", "step", result.seconds, result.seconds_min);
  text += line("data", parts.data, result.seconds);
  text += line("forward", parts.forward, result.seconds);
  text += line("backward", parts.backward, result.seconds);
  text += line("all-reduce", parts.all_reduce, result.seconds);
  text += line("optimizer", parts.optimizer, result.seconds);
  text += fmt::format(
      "\n  {:.0f} tokens/s; {:.3f} TFLOP a step, {:.1f} % of the {:.0f} GFLOP/s of plain matrix products; at "
      "most {:.0f} MiB\n",
      result.tokens_per_second, result.flop / 1e12, result.percent_of_ceiling(), result.gemm_ceiling / 1e9,
      static_cast<double>(result.peak_memory_bytes) / (1 << 20));
  return text;
}

std::string json(const StepResult& result) {
  const StepOptions& options = result.options;
  return nlohmann::ordered_json{{"B", options.samples},
                                {"T", options.frames},
                                {"L", options.residues},
                                {"valid", options.valid_residues()},
                                {"steps", options.steps},
                                {"precision", options.precision},
                                {"device", options.device},
                                {"threads", result.threads},
                                {"seconds_per_step", result.seconds},
                                {"seconds_per_step_min", result.seconds_min},
                                {"tokens_per_second", result.tokens_per_second},
                                {"flop_per_step", result.flop},
                                {"gemm_ceiling_flops", result.gemm_ceiling},
                                {"percent_of_ceiling", result.percent_of_ceiling()},
                                {"peak_memory_bytes", result.peak_memory_bytes},
                                {"data_seconds", result.parts.data},
                                {"forward_seconds", result.parts.forward},
                                {"backward_seconds", result.parts.backward},
                                {"all_reduce_seconds", result.parts.all_reduce},
                                {"optimizer_seconds", result.parts.optimizer},
                                {"loss", result.loss}}
      .dump(2);
}

}  // namespace mdgen::bench
