// What the tests of the job spec share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {

// The text of the Error that `call` throws; its code must be `code`.
inline std::string error_of(ErrorCode code, const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

inline JobSpec from_flags(const std::vector<std::string>& arguments) {
  JobSpec spec;
  apply_flags(spec, arguments);
  return spec;
}

// The required fields and nothing else.
inline JobSpec minimal_spec() {
  return from_flags({"--train_split", "t.csv", "--val_split", "v.csv", "--data_dir", "d"});
}

// An allowed value of the field that is not its default.
inline Value sample_value(const Field& field) {
  const auto standard = default_value(field);
  for (const std::string& choice : field.rules.choices()) {
    if (!standard || std::get<std::string>(*standard) != choice) return choice;
  }
  using google::protobuf::FieldDescriptor;
  switch (field.leaf().cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return 0.1875;
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::uint64_t{18446744073709551615U};
    case FieldDescriptor::CPPTYPE_INT64:
      return std::int64_t{9007199254740993};
    case FieldDescriptor::CPPTYPE_STRING:
      return std::string("/x y/\"q\"\\ # : é\t.z");
    default:
      return std::int64_t{7};
  }
}

}  // namespace mdgen::config
