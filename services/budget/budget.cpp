#include "services/budget/budget.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace mdgen {
namespace {

using Parts = std::array<std::pair<const char*, double>, 6>;

Parts parts_of(const v1::StepTimes& times) {
  return {{{"data", times.data()},
           {"forward", times.forward()},
           {"backward", times.backward()},
           {"reduce", times.reduce()},
           {"optimizer", times.optimizer()},
           {"checkpoint", times.checkpoint()}}};
}

double sum_of(const v1::StepTimes& times) {
  double sum = 0;
  for (const auto& [name, seconds] : parts_of(times)) sum += seconds;
  return sum;
}

std::string spent_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  return whole < 3600 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                      : fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string shares_text(const v1::StepTimes& times) {
  const double sum = sum_of(times);
  std::vector<std::string> words;
  for (const auto& [name, seconds] : parts_of(times))
    if (seconds > 0) words.push_back(fmt::format("{} {:.0f}%", name, 100 * seconds / sum));
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string ceiling_text(const v1::Job& job) {
  if (job.ceiling_ratio() <= 0) return "";
  return fmt::format("{:.1f}% of what matrix products reach here", 100 * job.ceiling_ratio());
}

std::string budget_text(const v1::Job& job) {
  const double seconds = sum_of(job.spent());
  if (seconds <= 0) return "";
  const std::string ceiling = ceiling_text(job);
  return spent_text(seconds) + " in steps: " + shares_text(job.spent()) +
         (ceiling.empty() ? "" : "; at the end " + ceiling);
}

}  // namespace mdgen
