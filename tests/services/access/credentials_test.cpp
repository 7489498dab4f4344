// A coordinator with TLS and a token, and all that may come to its door.
#include "services/access/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "core/base/error.h"
#include "mdgen/v1/job_service.grpc.pb.h"
#include "services/client/job_api.h"
#include "services/coordinator/server.h"
#include "services/worker/coordinator_link.h"
#include "tests/support/temp_dir.h"

namespace mdgen::access {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Door : ::testing::Test {
  Door() { start(make_server_access(std::chrono::system_clock::now())); }

  void start(const ServerAccess& access) {
    server.reset();
    own = access;
    coordinator::ServerOptions options;
    options.http.clear();
    options.state_dir = folder / "state";
    options.access = access;
    server = coordinator::Server::start(options);
  }

  // The error of mdgenctl's first question; empty: it was answered.
  std::string ask(const Access& access) const {
    try {
      client::connect_grpc(server->grpc_address(), access)->list({});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  // How an agent's stream ends when it says nothing that the coordinator would accept.
  grpc::Status connect_agent(const Access& access) const {
    std::promise<grpc::Status> ended;
    worker::CoordinatorLink link(worker::make_channel(server->grpc_address(), true, access),
                                 {.message = [](const v1::CoordinatorMessage&) {},
                                  .down = [&](const grpc::Status& status) { ended.set_value(status); }});
    link.open({});
    return ended.get_future().get();
  }

  testing::TempDir folder;
  ServerAccess own;
  std::unique_ptr<coordinator::Server> server;
};

TEST_F(Door, RightTokenAndCertificate_AreLetIn) {
  EXPECT_EQ(ask(own.for_clients()), "");
  EXPECT_EQ(connect_agent(own.for_clients()).error_code(), grpc::StatusCode::INVALID_ARGUMENT)
      << "an empty Register";
}

TEST_F(Door, CertificateMadeOfASecret_IsAsGood) {
  const std::string secret(40, 's');
  start({identity_from_secret(secret), secret});
  EXPECT_EQ(ask({identity_from_secret(secret).certificate, secret}), "");
}

TEST_F(Door, WrongToken_IsUnauthenticated) {
  const std::string wrong = make_token();
  EXPECT_THAT(ask({own.identity.certificate, wrong}),
              AllOf(HasSubstr("the token is not this coordinator's"), Not(HasSubstr(wrong)),
                    Not(HasSubstr(own.token))));
  const grpc::Status status = connect_agent({own.identity.certificate, wrong});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(worker::link_loss(status), worker::LinkLoss::kRefused) << "an agent does not try again";
}

TEST_F(Door, MissingToken_IsUnauthenticated) {
  EXPECT_THAT(ask({own.identity.certificate, ""}),
              HasSubstr("needs a token: set MDGEN_TOKEN or give --token_file"));
  EXPECT_EQ(connect_agent({own.identity.certificate, ""}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(Door, EveryServiceNeedsTheToken) {
  grpc::ChannelArguments arguments;
  const auto credentials = channel_credentials({own.identity.certificate, ""}, arguments);
  const auto channel = grpc::CreateCustomChannel(server->grpc_address(), credentials, arguments);
  for (const char* method :
       {"/grpc.health.v1.Health/Check", "/mdgen.v1.WorkerService/Exchange", "/no.such/Method"}) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    const grpc::Slice empty;
    const grpc::ByteBuffer nothing(&empty, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, method, {}, &nothing, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    EXPECT_EQ(ended.get_future().get().error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
  }
}

TEST_F(Door, WrongCertificate_ServerIsNotTrustedAndGetsNoToken) {
  const Access access{make_identity(std::chrono::system_clock::now()).certificate, own.token};
  EXPECT_THAT(ask(access), HasSubstr("no answer from the coordinator"));
  EXPECT_EQ(connect_agent(access).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Door, PlainClient_IsToldOfTls) {
  EXPECT_THAT(ask({}), HasSubstr("if it uses TLS, --ca and --token_file must be given"));
}

TEST_F(Door, PlainServer_IsForLoopbackAlone) {
  coordinator::ServerOptions options;
  options.state_dir = folder / "other";
  options.listen = "0.0.0.0:0";
  try {
    coordinator::Server::start(options);
    FAIL() << "it listens";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs a certificate and a token"));
  }
}

}  // namespace
}  // namespace mdgen::access
