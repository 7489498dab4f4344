#include "core/train/test_fault.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/train/step_feed.h"

namespace mdgen::train {
namespace {

using Kind = TestFault::Kind;
constexpr const char* kVariable = "MDGEN_TEST_FAULT";
constexpr std::array<std::pair<std::string_view, Kind>, 5> kKinds{{{"wrong_sample", Kind::kWrongSample},
                                                                   {"repeat_sample", Kind::kRepeatSample},
                                                                   {"skip_sample", Kind::kSkipSample},
                                                                   {"wrong_window", Kind::kWrongWindow},
                                                                   {"repeat_step", Kind::kRepeatStep}}};

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size();
}

bool contains(const std::vector<std::uint32_t>& samples, std::uint32_t sample) {
  return std::find(samples.begin(), samples.end(), sample) != samples.end();
}

// The first virtual sample after `own` that the step does not have; `own` when it has all.
std::uint32_t stranger(const data::RunPlan& plan, const data::StepPlan& step, std::uint32_t own) {
  const std::uint32_t all = plan.inputs().items * plan.inputs().repeat;
  for (std::uint32_t i = 1; i < all; ++i) {
    const std::uint32_t other = (own + i) % all;
    if (!contains(step.samples, other)) return other;
  }
  return own;
}

std::uint32_t replacement(Kind kind, data::RunPlan& plan, const data::StepPlan& step, std::uint32_t own) {
  if (kind == Kind::kWrongSample) return stranger(plan, step, own);
  if (kind == Kind::kSkipSample && step.step + 1 < plan.total_steps())
    return plan.step(step.step + 1).samples.front();
  if (kind == Kind::kRepeatSample)
    for (const std::uint32_t other : step.samples)
      if (other != own) return other;
  return own;
}

void repeat_step(data::RunPlan& plan, StepWork& work) {
  if (work.plan.step == 0) return;
  const std::vector<std::uint32_t> before = plan.step(work.plan.step - 1).samples;
  for (data::MicroBatch& batch : work.mine) {
    for (std::uint32_t& sample : batch) {
      const auto place = std::find(work.plan.samples.begin(), work.plan.samples.end(), sample);
      const auto index = static_cast<std::size_t>(place - work.plan.samples.begin());
      if (index < before.size()) sample = before[index];
    }
  }
}

}  // namespace

std::optional<TestFault> parse_test_fault(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::string_view all = text;
  const auto at = all.find('@');
  const auto colon = all.find(':');
  TestFault fault;
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                                 [&](const auto& known) { return known.first == all.substr(0, at); });
  const bool good =
      at != std::string_view::npos && kind != kKinds.end() &&
      parse_number(all.substr(at + 1, colon == all.npos ? colon : colon - at - 1), fault.step) &&
      (colon == all.npos || parse_number(all.substr(colon + 1), fault.rank)) && fault.step > 0 &&
      fault.rank >= 0;
  if (!good) {
    throw Error(ErrorCode::kInvalidArgument, std::string(kVariable) + "=" + text +
                                                 " is no fault: KIND@STEP[:RANK] with wrong_sample, "
                                                 "repeat_sample, skip_sample, wrong_window or repeat_step");
  }
  fault.kind = kind->second;
  return fault;
}

std::optional<TestFault> test_fault() {
  const char* text = std::getenv(kVariable);
  return parse_test_fault(text == nullptr ? "" : text);
}

std::int64_t plant(const TestFault& fault, data::RunPlan plan, int rank, StepWork& work) {
  const std::int64_t epoch = work.plan.epoch;
  const bool here = fault.rank == rank || fault.kind == Kind::kRepeatStep;
  if (fault.step != work.plan.step + 1 || !here || work.mine.empty()) return epoch;
  spdlog::error("{} is set: step {} does not read what it should; this run is worth nothing", kVariable,
                fault.step);
  if (fault.kind == Kind::kWrongWindow) return epoch + 1;
  if (fault.kind == Kind::kRepeatStep) {
    repeat_step(plan, work);
  } else {
    std::uint32_t& own = work.mine.front().front();
    own = replacement(fault.kind, plan, work.plan, own);
  }
  return epoch;
}

}  // namespace mdgen::train
