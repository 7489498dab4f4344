// JSON as YAML.
#pragma once

#include <string>

#include "core/config/json.h"

namespace mdgen::config {

// Block-style YAML of the same content, texts in quotes.
std::string yaml_text(const Json& json);

}  // namespace mdgen::config
