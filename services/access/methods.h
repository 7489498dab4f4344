// The one table of what is served, and which role each of it needs at least.
#pragma once

#include <span>
#include <string_view>

#include "services/access/caller.h"

namespace mdgen::access {

enum class Need {
  kNothing,    // open to everybody who reaches the address
  kKnown,      // any role
  kWorker,     // worker or admin
  kViewer,     // viewer, submitter or admin
  kSubmitter,  // submitter or admin
  kAdmin,
};

bool suffices(Role role, Need need);
// For people: "submitter or admin".
const char* need_text(Need need);

struct GrpcMethod {
  std::string_view path;  // "/mdgen.v1.JobService/GetJob"
  Need need;
  // It changes something: goes to the audit log, and its role is asked by the coordinator, which knows the
  // job.
  bool changes = false;
};
std::span<const GrpcMethod> grpc_methods();
// Of a method that is not in the table: the admin's, no change.
GrpcMethod grpc_method(std::string_view path);
// What a change needs, by the method's name alone ("CancelJob"), for both transports.
Need need_of_change(std::string_view name);

struct HttpRoute {
  std::string_view method;  // GET stands for HEAD, too
  std::string_view path;    // segments; `*` is any one, `**` at the end is any rest
  Need need;
};
std::span<const HttpRoute> http_routes();
// Of a route that is not in the table: GET needs a viewer, anything else the admin.
HttpRoute http_route(std::string_view method, std::string_view path);

}  // namespace mdgen::access
