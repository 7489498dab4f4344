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
