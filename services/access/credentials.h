// Access as gRPC's credentials.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "services/access/gate.h"

namespace mdgen::access {

// TLS 1.2 or later. Each new connection is shown the gate's certificate of that moment, and asked for one
// where the gate asks for them. Every call of every service, health and reflection included, needs a token as
// `authorization: Bearer …`, or a certificate that the gate knows, and the role that its method needs;
// without it ends with UNAUTHENTICATED or PERMISSION_DENIED and a text that says why, before the service sees
// it. The role that a change needs is left to who carries it out (see methods.h).
std::shared_ptr<grpc::ServerCredentials> server_credentials(std::shared_ptr<Gate> gate);

// Who makes a call that was let in. `gate` null: there is no access control. Throws Error(kPermissionDenied)
// when the token has been taken away meanwhile.
Caller caller_of(const Gate* gate, const grpc::ServerContextBase& context);

// Plain for a plain access. A pinned certificate's name is not compared with the server's address, for which
// `arguments` are extended. Throws Error(kInvalidArgument) when the certificate is none.
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Access& access,
                                                              grpc::ChannelArguments& arguments);

}  // namespace mdgen::access
