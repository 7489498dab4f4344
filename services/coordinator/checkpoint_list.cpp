#include "services/coordinator/checkpoint_list.h"

#include <system_error>

#include "core/base/text.h"
#include "core/checkpoint/listing.h"
#include "core/checkpoint/store.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;

v1::ListCheckpointsResponse list_checkpoints(const fs::path& run_folder) {
  v1::ListCheckpointsResponse response;
  bool has_good = false;
  for (const fs::path& folder : checkpoint::list(run_folder / "checkpoints")) {
    const checkpoint::Listed found = checkpoint::look_at(folder);
    std::error_code error;
    if (!found.manifest && !fs::exists(folder, error)) continue;
    v1::CheckpointInfo& info = *response.add_checkpoints();
    info.set_name(folder.filename().string());
    info.set_folder(folder.string());
    info.set_step(found.name.step);
    info.set_generation(found.name.generation);
    if (found.written_at) *info.mutable_written_at() = to_timestamp(*found.written_at);
    info.set_problem(to_utf8(found.problem));
    if (!found.manifest) continue;
    info.set_bytes(found.manifest->bytes());
    if (const auto loss = found.manifest->summary.val_loss) info.set_val_loss(*loss);
    info.set_newest_good(!has_good);
    has_good = true;
  }
  return response;
}

}  // namespace mdgen::coordinator
