// Which instruction set the kernels of core/kernels/cpu run with. A kernel's source is free of LibTorch and
// is compiled once per set (core/kernels/CMakeLists.txt), each time in the namespace of that set:
//
//   namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET { void walk(…) {…} }     // walk.cpp
//   MDGEN_IN_EVERY_SET(void walk(…);)                                       // walk.h
//   MDGEN_PICK(walk)(…);                                                    // the caller
//
// A kernel's source must not instantiate inline functions or templates of shared headers (of <algorithm>,
// say): the linker keeps one copy of those, which may be that of a set which the CPU lacks. C headers and
// constexpr values are fine.
#pragma once

#include <vector>

namespace mdgen::kernels::cpu {

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

const char* name(InstructionSet set);  // "baseline", "avx2", "avx512"

// Those that were compiled and that this CPU runs, ascending; the baseline is always there.
std::vector<InstructionSet> supported_sets();

// The best of them, or, for the search of faults, the one that MDGEN_CPU_KERNELS names. Throws Error where
// that is unknown or unsupported. Read once; thread-safe.
InstructionSet instruction_set();

// For tests: another set for as long as this lives. Not to be made while kernels run.
class UseInstructionSet {
 public:
  explicit UseInstructionSet(InstructionSet set);
  ~UseInstructionSet();
  UseInstructionSet(const UseInstructionSet&) = delete;
  UseInstructionSet& operator=(const UseInstructionSet&) = delete;

 private:
  int before_;
};

template <class Function>
Function* pick(Function* baseline, Function* avx2, Function* avx512) {
  const InstructionSet set = instruction_set();
  return set == InstructionSet::kAvx512 ? avx512 : set == InstructionSet::kAvx2 ? avx2 : baseline;
}

}  // namespace mdgen::kernels::cpu

#if defined(__x86_64__)
#define MDGEN_IN_EVERY_SET(...)             \
  namespace mdgen::kernels::cpu::baseline { \
  __VA_ARGS__                               \
  }                                         \
  namespace mdgen::kernels::cpu::avx2 {     \
  __VA_ARGS__                               \
  }                                         \
  namespace mdgen::kernels::cpu::avx512 {   \
  __VA_ARGS__                               \
  }
#define MDGEN_PICK(function)                                               \
  (::mdgen::kernels::cpu::pick(&::mdgen::kernels::cpu::baseline::function, \
                               &::mdgen::kernels::cpu::avx2::function,     \
                               &::mdgen::kernels::cpu::avx512::function))
#else
#define MDGEN_IN_EVERY_SET(...)             \
  namespace mdgen::kernels::cpu::baseline { \
  __VA_ARGS__                               \
  }
#define MDGEN_PICK(function) (&::mdgen::kernels::cpu::baseline::function)
#endif
