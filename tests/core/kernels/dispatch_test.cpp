#include "core/kernels/cpu/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/error.h"

namespace mdgen::kernels::cpu {
namespace {

TEST(DispatchTest, TheBaselineIsAlwaysThereAndTheBestIsLast) {
  const auto sets = supported_sets();
  ASSERT_FALSE(sets.empty());
  EXPECT_EQ(sets.front(), InstructionSet::kBaseline);
  for (std::size_t i = 1; i < sets.size(); ++i) EXPECT_LT(sets[i - 1], sets[i]);
}

TEST(DispatchTest, AnotherSetIsUsedForAWhile) {
  const InstructionSet usual = instruction_set();
  {
    const UseInstructionSet forced(InstructionSet::kBaseline);
    EXPECT_EQ(instruction_set(), InstructionSet::kBaseline);
  }
  EXPECT_EQ(instruction_set(), usual);
}

TEST(DispatchTest, AnUnknownSetIsNamed) {
  const auto ask = [] {
    setenv("MDGEN_CPU_KERNELS", "mmx", 1);
    try {
      instruction_set();
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      std::exit(3);
    }
    std::exit(0);
  };
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(ask(), testing::ExitedWithCode(3), "MDGEN_CPU_KERNELS is 'mmx'; this CPU can run baseline");
}

}  // namespace
}  // namespace mdgen::kernels::cpu
