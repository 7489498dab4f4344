// The tables of the store, and how those of older versions become today's.
#pragma once

#include <filesystem>

#include "services/coordinator/sqlite.h"
#include "services/coordinator/store_check.h"

namespace mdgen::coordinator {

inline constexpr std::int64_t kSchemaVersion = 5;

// Within a transaction. Creates what is not there; throws Error(kFailedPrecondition) naming `state_dir` when
// a newer version wrote it.
void bring_up_to_date(Database& database, StoreCheck& check, const std::filesystem::path& state_dir);

}  // namespace mdgen::coordinator
