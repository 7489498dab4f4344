// Protobuf messages as JSON, alike in the CLI and over HTTP: snake_case, 64-bit integers as numbers, enum
// values without their type's prefix ("SUCCEEDED"), timestamps as RFC 3339, numbers that are not finite as
// null.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/job_service.pb.h"

namespace mdgen::config {

using Json = nlohmann::ordered_json;

enum class Unset {
  kLeaveOut,  // set fields only
  kInclude,   // fields without presence by their zero value, others as null
};

Json message_to_json(const google::protobuf::Message& message, Unset unset);

// Every field of a job; those that are unset, empty texts among them, are null. `spec` holds its set fields.
Json job_to_json(const v1::Job& job);

// On one line each: the job, and {"jobs": […], "next_page_token": …}.
std::string job_json(const v1::Job& job);
std::string jobs_json(const v1::ListJobsResponse& response);

}  // namespace mdgen::config
