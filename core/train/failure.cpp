#include "core/train/failure.h"

#include <torch/torch.h>

#include <new>

namespace mdgen::train {

std::string message_without_backtrace(const std::exception& error) {
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    return torch_error->what_without_backtrace();
  }
  const std::string text = error.what();
  const auto frames = text.find("\nException raised from ");
  return frames == std::string::npos ? text : text.substr(0, frames);
}

FailureText describe_failure(const std::exception& error) {
  FailureText text{ErrorCode::kInternal, "Internal", message_without_backtrace(error)};
  if (const auto* failure = dynamic_cast<const RunFailure*>(&error)) {
    text.code = failure->code();
    text.reason = failure->reason();
  } else if (const auto* ours = dynamic_cast<const Error*>(&error)) {
    text.code = ours->code();
    text.reason = error_code_name(ours->code());
  } else if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
             dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    text.reason = "OutOfMemory";
  } else if (dynamic_cast<const c10::Error*>(&error) != nullptr) {
    text.reason = "TorchError";
  }
  return text;
}

}  // namespace mdgen::train
