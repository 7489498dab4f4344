#include "services/coordinator/validator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;

std::string refusal(const RequestManifest& request) {
  try {
    examine(request, nullptr);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(Validator, AManifestThatFitsNoMessage_IsRefused) {
  const mdgen::testing::TempDir folder;
  RequestManifest request{"j", folder.path(), {}, v1::Preflight()};
  v1::Manifest& train = *request.found->mutable_manifest()->mutable_train();
  for (int i = 0; i < 61; ++i) train.add_entries()->set_seqres(std::string(std::size_t{1} << 20, 'A'));
  EXPECT_THAT(refusal(request), HasSubstr("of 61 + 0 entries has 61 MiB, at most 60 can be sent"));
}

TEST(Validator, ProblemsOfAWorker_AreListedEvenWhereTheRunFolderCannotBeWritten) {
  RequestManifest request{"j", "/proc/nowhere", {}, v1::Preflight()};
  request.found->add_problems("a problem");
  EXPECT_EQ(refusal(request), "the data set has 1 problem:\n  a problem");
}

TEST(Validator, TheDataSetIsExaminedHereWithoutAWorkersFindings) {
  const mdgen::testing::TempDir folder;
  RequestManifest request{"j", folder.path(), {}, std::nullopt};
  request.spec.mutable_data()->set_train_split("/nowhere.csv");
  request.spec.mutable_data()->set_data_dir("/nowhere");
  EXPECT_THAT(refusal(request), HasSubstr("preflight.json"));
}

}  // namespace
}  // namespace mdgen::coordinator
