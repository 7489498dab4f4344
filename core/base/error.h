// The one exception type of the project. What it means to a caller is its code; what it means to a person is
// its text, which names the culprit (file, field, rank, step) and what would be right.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace mdgen {

// A subset of gRPC's status codes, so that adapters translate one to one.
enum class ErrorCode {
  kInvalidArgument,     // a value that can never be right
  kNotFound,            // no such job, file, entry
  kAlreadyExists,       // the name or folder belongs to something else
  kFailedPrecondition,  // right, but not in this state
  kPermissionDenied,    // right, but not for this caller
  kUnimplemented,       // a field that does not work yet
  kDataLoss,            // truncated, corrupt, digest mismatch
  kUnavailable,         // try again later: connection lost, peer gone
  kAborted,             // superseded by a newer generation or incarnation
  kInternal,            // a broken invariant of ours
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// "InvalidArgument", …: for logs and job reasons.
const char* error_code_name(ErrorCode code);

}  // namespace mdgen
