// What a pickle may name, and what a finished tree must be. Internal to core/format.
#pragma once

#include <string>
#include <string_view>

#include "core/format/pickle.h"

namespace mdgen::format {

// Of "module name".
bool is_accepted_global(std::string_view global);
bool is_set_type(std::string_view global);
bool is_path_type(std::string_view global);

// "torch FloatStorage" -> "F32"; nullptr for what is no storage.
const char* dtype_of_storage(std::string_view global);
// "F32" -> "FloatStorage"; nullptr for a dtype that has none.
const char* storage_of_dtype(std::string_view dtype);

// Whether every item of the view lies in its storage, and the view repeats none of its items.
bool fits_storage(const PickledTensor& view);

// UTF-8 to Latin-1; false when a character has no byte.
bool latin1_bytes(std::string_view text, std::string& bytes);

// Throws when a value contains itself, is nested too deeply, or is a bare class or storage.
void check_finished(const PickleValue& root, const std::string& source);

}  // namespace mdgen::format
