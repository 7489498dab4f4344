// Programs of other versions against a real coordinator.
#include <gmock/gmock.h>

#include "services/version/grpc_version.h"
#include "services/version/version.h"
#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator::testing {
namespace {

using ::testing::HasSubstr;

std::string version_apart(int minors, int majors = 0) {
  auto version = *version::parse_version(version::program_version());
  return std::to_string(version.major + majors) + "." + std::to_string(version.minor + minors) + ".0";
}

TEST_F(ServerTest, AWorkerOneMinorVersionApartIsTakenIn) {
  v1::Register next = identity("i0");
  next.set_version(version_apart(1));
  EXPECT_TRUE(agent(next)->read().has_welcome());
}

TEST_F(ServerTest, AWorkerOfAnotherVersionIsToldBothVersions) {
  for (const std::string& version : {version_apart(2), version_apart(0, 1)}) {
    v1::Register other = identity("i0");
    other.set_version(version);
    const grpc::Status status = agent(other)->finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("mdgen-worker " + version));
    EXPECT_THAT(status.error_message(),
                HasSubstr(std::string("mdgen-coordinator ") + version::program_version()));
  }
}

TEST_F(ServerTest, AnswersNameTheCoordinatorsVersion) {
  const auto call = context();
  v1::ListJobsResponse response;
  ASSERT_TRUE(jobs_->ListJobs(call.get(), {}, &response).ok());
  const auto& fields = call->GetServerInitialMetadata();
  const auto found = fields.find(version::kVersionField);
  ASSERT_NE(found, fields.end());
  EXPECT_EQ(std::string(found->second.data(), found->second.size()), version::program_version());
}

TEST_F(ServerTest, AClientOfTheSameVersionHearsNothing) {
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(
      version::compare_versions([](const std::string& advice) { ADD_FAILURE() << "advised: " << advice; }));
  const auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      server_->grpc_address(), grpc::InsecureChannelCredentials(), {}, std::move(interceptors));
  v1::ListJobsResponse response;
  EXPECT_TRUE(v1::JobService::NewStub(channel)->ListJobs(context().get(), {}, &response).ok());
}

// A coordinator of the next minor version, as far as a client can see.
class NextVersion final : public v1::JobService::Service {
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest*,
                        v1::ListJobsResponse*) override {
    context->AddInitialMetadata(version::kVersionField, version_apart(1));
    return grpc::Status::OK;
  }
};

TEST(CompareVersions, AdvisesOnce) {
  NextVersion service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  std::vector<std::string> heard;
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(
      version::compare_versions([&](const std::string& advice) { heard.push_back(advice); }));
  const auto stub = v1::JobService::NewStub(grpc::experimental::CreateCustomChannelWithInterceptors(
      "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), {}, std::move(interceptors)));
  v1::ListJobsResponse response;
  for (int call = 0; call < 2; ++call) EXPECT_TRUE(stub->ListJobs(context().get(), {}, &response).ok());
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_THAT(heard.front(), HasSubstr("the coordinator is version " + version_apart(1)));
}

}  // namespace
}  // namespace mdgen::coordinator::testing
