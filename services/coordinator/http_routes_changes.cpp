#include <google/protobuf/descriptor.h>

#include <filesystem>

#include "core/base/identity.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "mdgen/v1/options.pb.h"
#include "services/coordinator/http_routes.h"
#include "services/coordinator/json_request.h"

namespace mdgen::coordinator {
namespace {

constexpr int kDefaultGraceSeconds = 60;

template <typename Message>
Message message_of(const HttpRequest& request) {
  Message message;
  json_to_message(request.body, message);
  message.set_id(request.id);
  return message;
}

template <typename Message>
std::chrono::seconds grace_of(const Message& message) {
  return std::chrono::seconds(message.has_grace_seconds() ? message.grace_seconds() : kDefaultGraceSeconds);
}

HttpReply job_reply(const v1::Job& job) { return json_reply(config::job_json(job)); }

// There is no folder of the client's here that a relative path could start at.
void check_paths(const google::protobuf::Message& message, const std::string& where) {
  const auto& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    const std::string name = where.empty() ? field->name() : where + "." + field->name();
    if (field->is_repeated()) continue;
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      check_paths(reflection.GetMessage(message, field), name);
    } else if (field->options().GetExtension(v1::rules).path()) {
      const std::string path = reflection.GetString(message, field);
      if (!path.empty() && !std::filesystem::path(path).is_absolute())
        throw Error(ErrorCode::kInvalidArgument,
                    name + ": \"" + path + "\" is relative; over HTTP paths must be absolute");
    }
  }
}

HttpReply submit(const HttpRequest& request, Frontend& frontend) {
  v1::SubmitJobRequest wanted;
  json_to_message(request.body, wanted);
  if (wanted.spec().work_dir().empty())
    throw Error(ErrorCode::kInvalidArgument, "work_dir: give an absolute path");
  check_paths(wanted.spec(), "");
  const config::Resolved resolved = config::resolve(wanted.spec(), "/");
  const std::string id = wanted.request_id().empty() ? make_uuid() : wanted.request_id();
  const v1::Job job = frontend.coordinator.submit(request.caller, resolved.spec, id, wanted.validate_only());
  HttpReply reply = job_reply(job);
  if (!wanted.validate_only()) reply.headers.emplace_back("Location", "/v1/jobs/" + job.id());
  return reply;
}

}  // namespace

void bind_job_changes(HttpRouter& router, Frontend& frontend) {
  Coordinator& coordinator = frontend.coordinator;
  router.bind("SubmitJob", [&](const HttpRequest& request) { return submit(request, frontend); });
  router.bind("CancelJob", [&](const HttpRequest& request) {
    const auto wanted = message_of<v1::CancelJobRequest>(request);
    return job_reply(coordinator.cancel(request.caller, request.id, grace_of(wanted)));
  });
  router.bind("PauseJob", [&](const HttpRequest& request) {
    const auto wanted = message_of<v1::PauseJobRequest>(request);
    return job_reply(coordinator.pause(request.caller, request.id, grace_of(wanted)));
  });
  router.bind("ResumeJob", [&](const HttpRequest& request) {
    const auto wanted = message_of<v1::ResumeJobRequest>(request);
    const v1::WorkerRange* workers = wanted.has_workers() ? &wanted.workers() : nullptr;
    return job_reply(coordinator.resume(request.caller, request.id, workers));
  });
  router.bind("RetryJob", [&](const HttpRequest& request) {
    const auto wanted = message_of<v1::RetryJobRequest>(request);
    const std::string id = wanted.request_id().empty() ? make_uuid() : wanted.request_id();
    return job_reply(coordinator.retry(request.caller, request.id, id));
  });
  router.bind("UpdateJob", [&](const HttpRequest& request) {
    return job_reply(coordinator.update(request.caller, message_of<v1::UpdateJobRequest>(request)));
  });
  router.bind("DeleteJob", [&](const HttpRequest& request) {
    coordinator.remove(request.caller, request.id);
    return json_reply("{}");
  });
}

}  // namespace mdgen::coordinator
