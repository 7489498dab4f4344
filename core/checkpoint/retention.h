// Folders that are not checkpoints yet, or no longer. Internal to core/checkpoint.
#pragma once

#include <filesystem>
#include <string>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

// ".tmp-g0007-step-000001234-<uuid>": the generation comes first, so that sweeping can tell whose it is.
std::string temporary_name(const Name& name);

// The generation of a temporary folder's name; nothing for any other name.
std::optional<std::int64_t> generation_of_temporary(const std::string& folder);

// Renames the folder to ".trash-…", so that nobody takes it for a checkpoint while it goes, then unlinks it.
// A warning is logged when that fails.
void remove_folder(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
