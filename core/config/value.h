// One field of the schema and its values: text in, text out, and whether the rules allow it.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/options.pb.h"

namespace mdgen::config {

// A leaf field of JobSpec.
struct Field {
  std::vector<const google::protobuf::FieldDescriptor*> path;  // from JobSpec down to the leaf
  std::string group;                                           // "optim"; "" at the top
  std::string name;                                            // "lr"
  std::string key;                                             // "optim.lr"
  std::string flag;                                            // "lr", or "workers.max" where qualified
  v1::FieldRules rules;

  const google::protobuf::FieldDescriptor& leaf() const { return *path.back(); }
};

// 32-bit integers are held as int64; the rules and the field's type bound them.
using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

// Nothing when the text is not of the field's type: whole numbers without a fraction, finite numbers, true or
// false, UTF-8 text.
std::optional<Value> parse_value(const Field& field, std::string_view text);

// The text that parse_value reads back to the same value; the shortest one for numbers.
std::string value_text(const Value& value);

// Whether bounds and choices hold.
bool is_allowed(const Field& field, const Value& value);

// "a whole number from 1 to 65536", "one of Linear, GVP, VP", …
std::string allowed_text(const Field& field);

// Nothing when the field is unset (text: empty).
std::optional<Value> get_value(const v1::JobSpec& spec, const Field& field);
void set_value(v1::JobSpec& spec, const Field& field, const Value& value);
void clear_value(v1::JobSpec& spec, const Field& field);

// The default of the rules; nothing where they have none.
std::optional<Value> default_value(const Field& field);

// parse_value and is_allowed, then set_value; `where` ("job.yaml:3:9", "--crop") begins the error's text.
void set_text(v1::JobSpec& spec, const Field& field, std::string_view text, const std::string& where);

}  // namespace mdgen::config
