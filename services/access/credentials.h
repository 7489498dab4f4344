// Access as gRPC's credentials.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "services/access/server_access.h"

namespace mdgen::access {

// TLS 1.2 or later with this certificate. Every call of every service, health and reflection included, needs
// the token as `authorization: Bearer …`; without it, or with another, it ends with UNAUTHENTICATED and a
// text that says which of both, before the service sees it.
std::shared_ptr<grpc::ServerCredentials> server_credentials(const ServerAccess& access);

// Plain for a plain access. A pinned certificate's name is not compared with the server's address, for which
// `arguments` are extended. Throws Error(kInvalidArgument) when the certificate is none.
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Access& access,
                                                              grpc::ChannelArguments& arguments);

}  // namespace mdgen::access
