#include "core/train/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/kernels/cpu/dispatch.h"
#include "core/train/failure.h"
#include "tests/support/collective_backends.h"

namespace mdgen::train {
namespace {

using ::testing::Contains;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::Pair;

TEST(FingerprintTest, NamesTheInstructionSetOfOurKernels) {
  const kernels::cpu::UseInstructionSet baseline(kernels::cpu::InstructionSet::kBaseline);
  EXPECT_THAT(fingerprint(at::kCPU), Contains(Pair("kernels", "baseline")));
}

TEST(FingerprintDifference, NamesWhatDiffersAndWhere) {
  const Fingerprint new_cpu = {{"instructions", "AVX512"}, {"threads", "1"}};
  const Fingerprint old_cpu = {{"instructions", "AVX2"}, {"threads", "1"}};
  const Fingerprint gpu = {{"instructions", "AVX512"}, {"threads", "1"}, {"GPU", "H200"}};
  EXPECT_THAT(fingerprint_difference({new_cpu}), Eq(std::nullopt));
  EXPECT_THAT(fingerprint_difference({new_cpu, new_cpu, new_cpu}), Eq(std::nullopt));
  EXPECT_THAT(fingerprint_difference({new_cpu, old_cpu, new_cpu}),
              Optional(Eq("instructions: AVX2 on rank 1; AVX512 on ranks 0, 2")));
  EXPECT_THAT(fingerprint_difference({gpu, old_cpu}),
              Optional(Eq("instructions: AVX2 on rank 1; AVX512 on rank 0. GPU: H200 on rank 0; "
                          "none on the others")));
}

TEST(FingerprintOfThisProcess, SaysWhatTheKernelsAreChosenBy) {
  const Fingerprint mine = fingerprint(at::kCPU);
  EXPECT_THAT(mine, Contains(Pair("threads", std::to_string(at::get_num_threads()))));
  EXPECT_THAT(mine, Contains(Pair("LibTorch", HasSubstr("2."))));
  EXPECT_THAT(fingerprint_difference({mine, fingerprint(at::kCPU)}), Eq(std::nullopt));
}

TEST(RequireEqualFingerprints, AMixture_FailsOnEveryRank) {
  const mdgen::testing::Backend three{"local", 3};
  mdgen::testing::run_group_or_throw(three, [](comm::Collective& group) {
    require_equal_fingerprints(group, at::kCPU, fingerprint(at::kCPU));
  });
  const auto thrown = mdgen::testing::run_group(three, [](comm::Collective& group) {
    require_equal_fingerprints(group, at::kCPU, {{"threads", group.rank() == 2 ? "3" : "1"}});
  });
  for (const std::exception_ptr& error : thrown) {
    EXPECT_EQ(mdgen::testing::error_of(error).code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(mdgen::testing::error_of(error).what(), HasSubstr("threads: 1 on ranks 0, 1; 3 on rank 2"));
  }
}

}  // namespace
}  // namespace mdgen::train
