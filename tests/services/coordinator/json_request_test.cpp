#include "services/coordinator/json_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "mdgen/v1/job_service.pb.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;

v1::SubmitJobRequest read(const std::string& text) {
  v1::SubmitJobRequest request;
  json_to_message(parse_object(text), request);
  return request;
}

std::string problem(const std::string& text) {
  try {
    read(text);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
}

TEST(JsonRequest, SetsWhatIsThere) {
  const auto request = read(R"({"spec": {"name": "a", "seed": 7, "optim": {"lr": 1e-3, "batch_size": null},
                                "workers": {"min": 2}, "data": {"atlas": true}}, "validate_only": true})");
  EXPECT_EQ(request.spec().name(), "a");
  EXPECT_EQ(request.spec().seed(), 7);
  EXPECT_EQ(request.spec().optim().lr(), 1e-3);
  EXPECT_FALSE(request.spec().optim().has_batch_size());
  EXPECT_EQ(request.spec().workers().min(), 2);
  EXPECT_TRUE(request.spec().data().atlas());
  EXPECT_TRUE(request.validate_only());
}

TEST(JsonRequest, NamesWhatIsWrong) {
  EXPECT_THAT(problem("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(problem("{"), HasSubstr("not JSON"));
  EXPECT_THAT(problem("{\"a\": 1e999}"), HasSubstr("not JSON"));
  EXPECT_THAT(problem(R"({"spec": {"named": "a"}})"),
              HasSubstr("spec.named: there is no such field; is name meant?"));
  EXPECT_THAT(problem(R"({"spec": {"name": 3}})"), HasSubstr("spec.name: must be a text"));
  EXPECT_THAT(problem(R"({"spec": {"seed": "3"}})"),
              HasSubstr("spec.seed: must be a whole number, not string"));
  EXPECT_THAT(problem(R"({"spec": {"workers": {"min": 1.5}}})"), HasSubstr("spec.workers.min"));
  EXPECT_THAT(problem(R"({"spec": {"workers": {"min": 99999999999}}})"),
              HasSubstr("99999999999 is out of range"));
  EXPECT_THAT(problem(R"({"spec": {"data": {"atlas": 1}}})"), HasSubstr("true or false"));
  EXPECT_THAT(problem(R"({"spec": []})"), HasSubstr("spec: must be an object"));
}

}  // namespace
}  // namespace mdgen::coordinator
