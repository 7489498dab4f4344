#include "services/access/credentials.h"

#include <grpc/grpc_security.h>

#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace mdgen::access {
namespace {

// gRPC's C++ interface has no server credentials whose certificate may change, its C interface has: a
// function that is asked at each handshake. Both functions below are called on gRPC's threads, the first
// under a lock of the one port that it serves.
struct ServerState {
  std::shared_ptr<Gate> gate;
  std::shared_ptr<const TlsState> given;
};

grpc_ssl_certificate_config_reload_status fetch_certificate(void* user_data,
                                                            grpc_ssl_server_certificate_config** config) {
  auto& state = *static_cast<ServerState*>(user_data);
  std::shared_ptr<const TlsState> now = state.gate->tls();
  if (now == state.given) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair = {now->identity.key.c_str(), now->identity.certificate.c_str()};
  // gRPC insists on an authority here, even where it asks no client for a certificate.
  const std::string& authority = now->client_ca.empty() ? now->identity.certificate : now->client_ca;
  *config = grpc_ssl_server_certificate_config_create(authority.c_str(), &pair, 1);
  state.given = std::move(now);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

std::string_view text_of(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

std::string common_name_of(const grpc_auth_context* context) {
  auto found = grpc_auth_context_find_properties_by_name(context, GRPC_X509_CN_PROPERTY_NAME);
  const grpc_auth_property* name = grpc_auth_property_iterator_next(&found);
  return name == nullptr ? "" : std::string(name->value, name->value_length);
}

Verdict verdict_of(Gate& gate, const grpc_auth_context* context, const grpc_metadata* metadata,
                   std::size_t count) {
  const std::string certificate = common_name_of(context);
  Attempt attempt{.authorization = std::nullopt, .certificate = certificate, .peer = "gRPC"};
  std::string_view path;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view key = text_of(metadata[i].key);
    if (key == ":path") path = text_of(metadata[i].value);
    if (key == "authorization") attempt.authorization = text_of(metadata[i].value);
  }
  const GrpcMethod method = grpc_method(path);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return gate.admit(attempt, name, method.changes ? Need::kKnown : method.need, method.changes);
}

void check_call(void* state, grpc_auth_context* context, const grpc_metadata* metadata, std::size_t count,
                grpc_process_auth_metadata_done_cb done, void* user_data) {
  grpc_status_code code = GRPC_STATUS_INTERNAL;
  std::string text = "the access check failed";
  try {
    Verdict verdict = verdict_of(*static_cast<ServerState*>(state)->gate, context, metadata, count);
    code = verdict.is_admitted()                             ? GRPC_STATUS_OK
           : verdict.kind == Verdict::Kind::kUnauthenticated ? GRPC_STATUS_UNAUTHENTICATED
                                                             : GRPC_STATUS_PERMISSION_DENIED;
    text = std::move(verdict.text);
  } catch (const std::exception& error) {
    text = error.what();
  }
  done(user_data, nullptr, 0, nullptr, 0, code, text.empty() ? nullptr : text.c_str());
}

class GateCredentials final : public grpc::ServerCredentials {
 public:
  explicit GateCredentials(std::shared_ptr<Gate> gate) {
    const auto request = gate->asks_for_certificates()
                             ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    auto state = std::make_unique<ServerState>(ServerState{std::move(gate), nullptr});
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(request, fetch_certificate,
                                                                        state.get()));
    // It has the state from here on, as long as the server lives.
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_,
        {check_call, [](void* owned) { delete static_cast<ServerState*>(owned); }, state.release()});
  }
  ~GateCredentials() override { grpc_server_credentials_release(credentials_); }
  GateCredentials(const GateCredentials&) = delete;
  GateCredentials& operator=(const GateCredentials&) = delete;

  // The gate's is for good.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* credentials_ = nullptr;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> server_credentials(std::shared_ptr<Gate> gate) {
  return std::make_shared<GateCredentials>(std::move(gate));
}

Caller caller_of(const Gate* gate, const grpc::ServerContextBase& context) {
  const std::string peer = context.peer();
  if (gate == nullptr) return {.name = "", .role = Role::kAdmin, .peer = peer};
  Attempt attempt{.authorization = std::nullopt, .certificate = "", .peer = peer};
  const auto& metadata = context.client_metadata();
  if (const auto found = metadata.find("authorization"); found != metadata.end())
    attempt.authorization = std::string_view(found->second.data(), found->second.size());
  std::string certificate;
  if (const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
      !names.empty())
    certificate.assign(names.front().data(), names.front().size());
  attempt.certificate = certificate;
  Verdict verdict = gate->identify(attempt);
  if (!verdict.is_admitted()) throw Error(ErrorCode::kPermissionDenied, verdict.text);
  return std::move(verdict.caller);
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Access& access,
                                                              grpc::ChannelArguments& arguments) {
  if (access.trusted.empty()) return grpc::InsecureChannelCredentials();
  if (is_pinned(access.trusted, "--ca")) arguments.SetSslTargetNameOverride(kPinnedName);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = access.trusted;
  options.pem_cert_chain = access.certificate;
  options.pem_private_key = access.key;
  auto tls = grpc::SslCredentials(options);
  if (access.token.empty()) return tls;
  return grpc::CompositeChannelCredentials(tls, grpc::AccessTokenCredentials(access.token));
}

}  // namespace mdgen::access
