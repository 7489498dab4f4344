#include "services/access/credentials.h"

#include <grpcpp/security/auth_metadata_processor.h>

#include <string_view>
#include <utility>

namespace mdgen::access {
namespace {

constexpr std::string_view kScheme = "Bearer ";

// Called on gRPC's threads for each call.
class TokenCheck final : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenCheck(std::string token) : token_(std::move(token)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata* consumed,
                       OutputMetadata*) override {
    const auto found = metadata.find("authorization");
    if (found == metadata.end()) {
      return refuse("this coordinator needs a token: set MDGEN_TOKEN or give --token_file");
    }
    const std::string_view value(found->second.data(), found->second.size());
    if (!value.starts_with(kScheme) || !same_token(value.substr(kScheme.size()), token_)) {
      return refuse("the token is not this coordinator's");
    }
    consumed->emplace("authorization", std::string(value));
    return grpc::Status::OK;
  }

 private:
  static grpc::Status refuse(const char* text) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, text);
  }

  const std::string token_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> server_credentials(const ServerAccess& access) {
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({access.identity.key, access.identity.certificate});
  auto credentials = grpc::SslServerCredentials(options);
  credentials->SetAuthMetadataProcessor(std::make_shared<TokenCheck>(access.token));
  return credentials;
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Access& access,
                                                              grpc::ChannelArguments& arguments) {
  if (access.trusted.empty()) return grpc::InsecureChannelCredentials();
  if (is_pinned(access.trusted, "--ca")) arguments.SetSslTargetNameOverride(kPinnedName);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = access.trusted;
  auto tls = grpc::SslCredentials(options);
  if (access.token.empty()) return tls;
  return grpc::CompositeChannelCredentials(tls, grpc::AccessTokenCredentials(access.token));
}

}  // namespace mdgen::access
