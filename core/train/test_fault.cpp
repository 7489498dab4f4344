#include "core/train/test_fault.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/train/step_feed.h"

namespace mdgen::train {
namespace {

using Kind = TestFault::Kind;
constexpr const char* kVariable = "MDGEN_TEST_FAULT";
constexpr std::string_view kAlways = "always";
constexpr std::array<std::pair<std::string_view, Kind>, 12> kKinds{{{"wrong_sample", Kind::kWrongSample},
                                                                    {"repeat_sample", Kind::kRepeatSample},
                                                                    {"skip_sample", Kind::kSkipSample},
                                                                    {"wrong_window", Kind::kWrongWindow},
                                                                    {"repeat_step", Kind::kRepeatStep},
                                                                    {"flip_bit", Kind::kFlipBit},
                                                                    {"slow_disk", Kind::kSlowDisk},
                                                                    {"kill", Kind::kKill},
                                                                    {"segfault", Kind::kSegfault},
                                                                    {"stop", Kind::kStop},
                                                                    {"hang", Kind::kHang},
                                                                    {"break", Kind::kBreak}}};
constexpr std::array<std::pair<std::string_view, FaultPoint>, 9> kPoints{
    {{"before_reduce", FaultPoint::kBeforeReduce},
     {"mid_reduce", FaultPoint::kMidReduce},
     {"after_reduce", FaultPoint::kAfterReduce},
     {"mid_optimizer", FaultPoint::kMidOptimizer},
     {"before_report", FaultPoint::kBeforeReport},
     {"checkpoint_write", FaultPoint::kCheckpointWrite},
     {"heal_send", FaultPoint::kHealSend},
     {"heal_receive", FaultPoint::kHealReceive},
     {"validate", FaultPoint::kValidate}}};

template <typename Names, typename Value>
bool find_value(const Names& names, std::string_view name, Value& value) {
  for (const auto& [known, its] : names) {
    if (known != name) continue;
    value = its;
    return true;
  }
  return false;
}

template <typename Names, typename Value>
std::string name_of(const Names& names, Value value) {
  for (const auto& [known, its] : names)
    if (its == value) return std::string(known);
  return "?";
}

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

// What comes before the first `mark`; the rest comes after it.
std::string_view split_off(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  const std::string_view first = text.substr(0, at);
  text = at == text.npos ? std::string_view() : text.substr(at + 1);
  return first;
}

bool parse_one(std::string_view text, TestFault& fault) {
  if (text.ends_with(':') || text.ends_with('@')) return false;
  std::string_view what = split_off(text, '@');
  if (!find_value(kKinds, split_off(what, '.'), fault.kind)) return false;
  if (!what.empty() && !(fault.crashes() && find_value(kPoints, what, fault.point))) return false;
  if (!parse_number(split_off(text, ':'), fault.step) || fault.step < 1) return false;
  if (text.empty()) return true;
  if (!parse_number(split_off(text, ':'), fault.rank) || fault.rank < 0) return false;
  if (text.empty()) return true;
  fault.always = text == kAlways;
  return fault.always || (parse_number(text, fault.attempt) && fault.attempt > 0);
}

}  // namespace

std::vector<TestFault> parse_test_faults(const std::string& text) {
  std::vector<TestFault> faults;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view one = split_off(rest, ',');
    TestFault fault;
    if (!parse_one(one, fault)) {
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(kVariable) + ": '" + std::string(one) +
                      "' is no fault: KIND[.POINT]@STEP[:RANK[:ATTEMPT]], see core/train/test_fault.h");
    }
    faults.push_back(fault);
  }
  return faults;
}

std::vector<TestFault> test_faults() {
  const char* text = std::getenv(kVariable);
  return parse_test_faults(text == nullptr ? "" : text);
}

std::function<void(std::int64_t step)> slow_disk(const std::filesystem::path& run_folder) {
  static constexpr std::chrono::milliseconds kPoll{5};
  std::vector<std::int64_t> steps;
  for (const TestFault& fault : test_faults()) {
    if (fault.kind == Kind::kSlowDisk) steps.push_back(fault.step);
  }
  if (steps.empty()) return {};
  return [steps, gate = run_folder / "slow_disk"](std::int64_t step) {
    if (std::find(steps.begin(), steps.end(), step) == steps.end()) return;
    while (std::filesystem::exists(gate)) std::this_thread::sleep_for(kPoll);
  };
}

std::string to_text(const TestFault& fault) {
  std::string text = name_of(kKinds, fault.kind);
  if (fault.crashes()) text += "." + name_of(kPoints, fault.point);
  return text + "@" + std::to_string(fault.step) + ":" + std::to_string(fault.rank) + ":" +
         (fault.always ? std::string(kAlways) : std::to_string(fault.attempt));
}

std::int64_t plant(const TestFault& fault, data::RunPlan plan, int rank, StepWork& work) {
  const std::int64_t epoch = work.plan.epoch;
  const bool here = fault.rank == rank || fault.kind == Kind::kRepeatStep;
  if (!fault.misreads() || fault.step != work.plan.step + 1 || !here || work.mine.empty()) return epoch;
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
