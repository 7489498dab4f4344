// What the gRPC services of clients do alike in each call.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <type_traits>
#include <utility>

#include "services/access/caller.h"
#include "services/access/change.h"
#include "services/access/credentials.h"
#include "services/coordinator/frontend.h"
#include "services/coordinator/grpc_status.h"

namespace mdgen::coordinator {

// By whom calls and streams are counted: the caller's name, or else the host.
inline std::string client_of(const access::Caller& caller) {
  if (!caller.name.empty()) return caller.name;
  // ipv4:127.0.0.1:4242
  return caller.peer.starts_with("ipv") ? caller.peer.substr(0, caller.peer.rfind(':')) : caller.peer;
}

// What the audit log says of a request: CancelJob, of job …, in short.
inline access::AuditRecord record_of(const google::protobuf::Message& request, access::Caller caller) {
  constexpr std::size_t kLongest = 200;
  access::AuditRecord record;
  record.caller = std::move(caller);
  const std::string suffix = "Request";
  const std::string& type = request.GetDescriptor()->name();
  record.method = type.substr(0, type.size() - suffix.size());
  if (const auto* id = request.GetDescriptor()->FindFieldByName("id"))
    record.job = request.GetReflection()->GetString(request, id);
  if (const auto* submit = dynamic_cast<const v1::SubmitJobRequest*>(&request))
    record.request = "name " + submit->spec().name();
  else
    record.request = request.ShortDebugString().substr(0, kLongest);
  return record;
}

inline void check_size(const google::protobuf::Message& request, const Limits& limits) {
  if (request.ByteSizeLong() > limits.request_bytes)
    throw TooMany(request.GetTypeName() + " has " + std::to_string(request.ByteSizeLong()) +
                  " bytes; at most " + std::to_string(limits.request_bytes) + " are allowed");
}

template <typename Body>
grpc::ServerUnaryReactor* answer(grpc::CallbackServerContext* context, Body&& body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(guarded(std::forward<Body>(body)));
  return reactor;
}

// The same for a call that changes something: counted, allowed and noted. `body` gets the caller.
template <typename Body>
grpc::ServerUnaryReactor* answer_change(grpc::CallbackServerContext* context, Frontend& frontend,
                                        const google::protobuf::Message& request, Body&& body) {
  return answer(context, [&] {
    check_size(request, frontend.limits);
    access::Caller caller = access::caller_of(frontend.gate.get(), *context);
    frontend.changes.take(client_of(caller));
    access::carry_out(frontend.audit.get(), record_of(request, std::move(caller)),
                      [&](access::AuditRecord& record) {
                        if constexpr (std::is_invocable_v<Body, access::AuditRecord&>)
                          body(record);
                        else
                          body(record.caller);
                      });
  });
}

// The same for a call that reads a run folder: `body` is called by a thread that may wait.
template <typename Body>
grpc::ServerUnaryReactor* answer_later(grpc::CallbackServerContext* context, Frontend& frontend, Body body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool posted =
      frontend.files.post([reactor, body = std::move(body)] { reactor->Finish(guarded(body)); });
  if (!posted) reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls wait for run folders"});
  return reactor;
}

}  // namespace mdgen::coordinator
