// The HTTP API as an OpenAPI 3.0 document, from the table of operations and the messages' descriptors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mdgen::coordinator {

nlohmann::ordered_json openapi();

// docs/openapi.yaml.
std::string openapi_yaml();

}  // namespace mdgen::coordinator
