// Messages from the JSON of requests: strict, so that a mistake is told and not guessed about. The mapping is
// that of core/config/json.h.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mdgen::coordinator {

// Throws Error(kInvalidArgument) for what is not one JSON object.
nlohmann::json parse_object(std::string_view text);

// Sets the fields that the object has. Throws Error(kInvalidArgument) naming the field: one that is not known
// (with the nearest that is), of another type, or out of its type's range. null is as if it were not there.
void json_to_message(const nlohmann::json& object, google::protobuf::Message& message,
                     const std::string& path = "");

}  // namespace mdgen::coordinator
