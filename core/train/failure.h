// Failures of a run, with the reason that the job's status shows.
#pragma once

#include <exception>
#include <string>

#include "core/base/error.h"

namespace mdgen::train {

// `reason` is CamelCase and stable: CheckpointRequired, NonFiniteGradient, PlanMismatch, …
class RunFailure : public Error {
 public:
  RunFailure(ErrorCode code, std::string reason, const std::string& message)
      : Error(code, message), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

struct FailureText {
  ErrorCode code = ErrorCode::kInternal;
  std::string reason;
  std::string message;
};

// Any exception as a reason and a text: RunFailure's own reason, an Error's code name, "OutOfMemory",
// "TorchError" (without LibTorch's backtrace), or "Internal".
FailureText describe_failure(const std::exception& error);

// what(), and for LibTorch's errors without the C++ frames that follow the message.
std::string message_without_backtrace(const std::exception& error);

}  // namespace mdgen::train
