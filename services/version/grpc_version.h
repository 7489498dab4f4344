// Versions on the wire: each call of a client and each answer of a coordinator carries its sender's in the
// metadata field `mdgen-version`.
#pragma once

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <functional>
#include <memory>
#include <string>

namespace mdgen::version {

inline constexpr const char* kVersionField = "mdgen-version";

// For ServerBuilder::experimental().SetInterceptorCreators.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> tell_version();

// Called with what advise_client says, once for each factory, on whatever thread the answer comes.
using Advise = std::function<void(const std::string&)>;

// For CreateCustomChannelWithInterceptors.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> compare_versions(Advise advise);

}  // namespace mdgen::version
