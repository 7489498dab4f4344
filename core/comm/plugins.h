// Libraries and programs that are loaded only where they are wanted, so that programs link neither CUDA nor
// MPI.
#pragma once

#include <filesystem>
#include <string>

namespace mdgen::comm {

// `name` in $MDGEN_PLUGIN_DIR, beside this program, or in ../lib, ../lib/mdgen or ../bin from it. Throws
// Error(kFailedPrecondition) naming where it was looked for.
std::filesystem::path find_companion(const std::string& name);

// The address of `symbol` in the plug-in `file_name`, which stays loaded. `hint` says what to do when it
// cannot be loaded. Throws Error(kFailedPrecondition).
void* plugin_symbol(const std::string& file_name, const char* symbol, const std::string& hint);

}  // namespace mdgen::comm
