// A coordinator with TLS and a token, and all that may come to its door.
#include "services/access/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "mdgen/v1/job_service.grpc.pb.h"
#include "services/client/job_api.h"
#include "services/coordinator/http_api.h"
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

// --- every method, every route, every role ---

// "/mdgen.v1.JobService/GetJob" of every service in proto/ that is served to others.
std::vector<std::string> methods_of_the_schema() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(MDGEN_SOURCE_DIR "/proto/mdgen/v1")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("_service.proto")) continue;
    if (name == "trainer_service.proto" || name == "admin_service.proto")
      continue;  // over sockets of their own
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName("mdgen/v1/" + name);
    EXPECT_NE(file, nullptr) << name;
    for (int i = 0; file != nullptr && i < file->service_count(); ++i)
      for (int j = 0; j < file->service(i)->method_count(); ++j)
        paths.push_back("/" + file->service(i)->full_name() + "/" + file->service(i)->method(j)->name());
  }
  return paths;
}

TEST(MethodTable, HasEveryMethodOfTheSchemaAndNoOther) {
  std::vector<std::string> in_table;
  for (const GrpcMethod& method : grpc_methods())
    if (method.path.starts_with("/mdgen.")) in_table.emplace_back(method.path);
  EXPECT_THAT(in_table, ::testing::UnorderedElementsAreArray(methods_of_the_schema()));
}

TEST(MethodTable, EveryHttpOperationNeedsWhatItsMethodNeeds) {
  for (const coordinator::HttpOperation& operation : coordinator::http_operations()) {
    const HttpRoute route = http_route(operation.method, operation.path);
    EXPECT_NE(route.path.data(), operation.path.data())  // what is not found is given back
        << operation.id << " is not in the table: " << operation.path;
    const std::string name = operation.id == "GetLogs" ? "StreamLogs" : operation.id;
    for (const GrpcMethod& method : grpc_methods()) {
      if (!method.path.ends_with("/" + name)) continue;
      EXPECT_EQ(route.need, method.need) << operation.id;
      EXPECT_EQ(operation.changes(), method.changes) << operation.id;
    }
  }
}

struct Roles : ::testing::Test {
  Roles() {
    change_tokens(folder / "tokens.yaml", [&](TokenTable& table) {
      for (const Role role : {Role::kViewer, Role::kSubmitter, Role::kAdmin, Role::kWorker})
        table.add({.name = role_name(role), .role = role, .sha256 = sha256_hex(token_of(role))});
    });
    ServerFiles files;
    files.tokens = folder / "tokens.yaml";
    coordinator::ServerOptions options;
    options.http.clear();
    options.state_dir = folder / "state";
    options.allow_inject = true;
    options.audit_log = folder / "audit.jsonl";
    options.access = open_server_access(files, folder / "state", std::chrono::system_clock::now());
    certificate = options.access->identity.certificate;
    server = coordinator::Server::start(options);
  }
  static std::string token_of(Role role) {
    return std::string(40, static_cast<char>('a' + static_cast<int>(role)));
  }

  grpc::Status call(const std::string& method, Role role) const {
    grpc::ChannelArguments arguments;
    const auto credentials =
        channel_credentials({.trusted = certificate, .token = token_of(role)}, arguments);
    grpc::GenericStub stub(grpc::CreateCustomChannel(server->grpc_address(), credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    const grpc::Slice empty;
    const grpc::ByteBuffer nothing(&empty, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, method, {}, &nothing, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    return ended.get_future().get();
  }

  testing::TempDir folder;
  std::string certificate;
  std::unique_ptr<coordinator::Server> server;
};

TEST_F(Roles, EveryMethodAsksForItsRole) {
  for (const GrpcMethod& method : grpc_methods()) {
    for (const Role role : {Role::kViewer, Role::kSubmitter, Role::kAdmin, Role::kWorker}) {
      const bool waits = method.path.ends_with("/Watch") && role != Role::kViewer;  // one of them will do
      if (waits || (method.path.ends_with("/Exchange") && role == Role::kAdmin)) continue;
      const grpc::Status status = call(std::string(method.path), role);
      const bool denied = status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
      EXPECT_EQ(denied, !suffices(role, method.need))
          << method.path << " for " << role_name(role) << ": " << status.error_message();
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << method.path;
      if (denied) {
        EXPECT_THAT(status.error_message(),
                    HasSubstr("needs the role " + std::string(need_text(method.need))));
      }
    }
  }
}

}  // namespace
}  // namespace mdgen::access
