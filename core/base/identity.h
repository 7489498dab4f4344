// Names that nobody else has.
#pragma once

#include <string>

namespace mdgen {

// A random (version 4) UUID from the system's entropy.
std::string make_uuid();

// A short random id that people can type: `characters` of a-z and 2-7.
std::string make_short_id(int characters = 8);

}  // namespace mdgen
