#include "core/kernels/cpu/dispatch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

#include "core/base/error.h"

namespace mdgen::kernels::cpu {
namespace {

constexpr const char* kVariable = "MDGEN_CPU_KERNELS";

std::atomic<int> forced{-1};

InstructionSet chosen() {
  const std::vector<InstructionSet> supported = supported_sets();
  const char* wanted = std::getenv(kVariable);
  if (wanted == nullptr || *wanted == '\0') return supported.back();
  std::string names;
  for (const InstructionSet set : supported) {
    if (std::string(wanted) == name(set)) return set;
    names += std::string(names.empty() ? "" : ", ") + name(set);
  }
  throw Error(ErrorCode::kInvalidArgument,
              std::string(kVariable) + " is '" + wanted + "'; this CPU can run " + names);
}

}  // namespace

const char* name(InstructionSet set) {
  switch (set) {
    case InstructionSet::kAvx512:
      return "avx512";
    case InstructionSet::kAvx2:
      return "avx2";
    default:
      return "baseline";
  }
}

std::vector<InstructionSet> supported_sets() {
  std::vector<InstructionSet> sets = {InstructionSet::kBaseline};
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) sets.push_back(InstructionSet::kAvx2);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    sets.push_back(InstructionSet::kAvx512);
  }
#endif
  return sets;
}

InstructionSet instruction_set() {
  const int set = forced.load(std::memory_order_relaxed);
  if (set >= 0) return static_cast<InstructionSet>(set);
  static const InstructionSet of_cpu = chosen();
  return of_cpu;
}

UseInstructionSet::UseInstructionSet(InstructionSet set) : before_(forced.exchange(static_cast<int>(set))) {}

UseInstructionSet::~UseInstructionSet() { forced.store(before_); }

}  // namespace mdgen::kernels::cpu
