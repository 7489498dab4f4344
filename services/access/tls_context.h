// The gate's certificate as OpenSSL's, for servers that have sockets of their own (HTTP).
#pragma once

#include <functional>
#include <memory>

#include "services/access/gate.h"

struct ssl_ctx_st;

namespace mdgen::access {

// Gives what a new connection is to be made with at this moment: TLS 1.2 or later, the gate's certificate,
// and the demand for a client's where the gate makes it. No session is taken up again, so each connection
// proves itself. The same object until the gate's certificate changes; connections hold on to theirs. The
// function throws Error(kInternal), and is for one thread at a time.
std::function<std::shared_ptr<ssl_ctx_st>()> tls_contexts(std::shared_ptr<const Gate> gate);

}  // namespace mdgen::access
