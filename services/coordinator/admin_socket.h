// The way to a coordinator that runs on this host, for whoever may write in its state folder: AdminService on
// the socket state_dir/admin.sock (mode 0600), without a token.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

namespace mdgen::coordinator {

class Coordinator;

class AdminSocket {
 public:
  // Serves until it is destroyed; `coordinator` must outlive it. Removes copies that a killed backup has
  // left. Throws Error(kUnavailable) when it cannot listen.
  static std::unique_ptr<AdminSocket> serve(Coordinator& coordinator, const std::filesystem::path& state_dir);
  virtual ~AdminSocket() = default;
};

// The folder with the copy of coordinator.db that the running coordinator of `state_dir` has made; nothing
// when none runs there. Throws Error as the coordinator says.
std::optional<std::filesystem::path> snapshot_of_running(const std::filesystem::path& state_dir);

// Where copies are made: a new name in the state folder.
std::filesystem::path new_snapshot_folder(const std::filesystem::path& state_dir);

}  // namespace mdgen::coordinator
