#include "launcher/wireup.h"

#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::launcher {
namespace {

constexpr std::chrono::milliseconds kLook{100};
constexpr std::chrono::minutes kFileTimeout{2};
// So that a file is never read half-written, whatever the file system does to a rename.
constexpr std::string_view kEnd = "\n";

class FileWireup : public Wireup {
 public:
  FileWireup(const std::filesystem::path& folder, const std::string& launch_id,
             std::chrono::milliseconds timeout)
      : folder_(folder), name_(".mdgen-launch-" + launch_id), timeout_(timeout) {}
  ~FileWireup() override {
    std::error_code ignored;
    if (owns_) std::filesystem::remove(folder_ / name_, ignored);
  }

  std::string share(const std::optional<std::string>& own) override {
    if (!own) return read();
    std::filesystem::create_directories(folder_);
    replace_file(folder_ / name_, *own + std::string(kEnd));
    std::filesystem::permissions(folder_ / name_,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    owns_ = true;
    return *own;
  }

 private:
  std::string read() const {
    const auto deadline = std::chrono::steady_clock::now() + timeout_;
    while (true) {
      if (auto found = look()) return *found;
      if (std::chrono::steady_clock::now() >= deadline) {
        throw Error(ErrorCode::kUnavailable,
                    "rank 0 has not left its address in " + (folder_ / name_).string());
      }
      std::this_thread::sleep_for(kLook);
    }
  }

  // Lists the folder: NFS remembers for a while that a name was absent.
  std::optional<std::string> look() const {
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
         at.increment(error)) {
      if (at->path().filename() != name_) continue;
      const std::string text = read_file(at->path());
      if (text.ends_with(kEnd)) return text.substr(0, text.size() - kEnd.size());
    }
    return std::nullopt;
  }

  std::filesystem::path folder_;
  std::string name_;
  std::chrono::milliseconds timeout_;
  bool owns_ = false;
};

class FixedWireup : public Wireup {
 public:
  explicit FixedWireup(std::string address) : address_(std::move(address)) {}
  std::string share(const std::optional<std::string>&) override { return address_; }
  std::optional<std::string> agreed_address() const override { return address_; }

 private:
  std::string address_;
};

}  // namespace

std::unique_ptr<Wireup> file_wireup(const std::filesystem::path& folder, const std::string& launch_id,
                                    std::chrono::milliseconds timeout) {
  return std::make_unique<FileWireup>(folder, launch_id, timeout);
}

std::unique_ptr<Wireup> fixed_wireup(const std::string& address) {
  return std::make_unique<FixedWireup>(address);
}

std::unique_ptr<Wireup> choose_wireup(const Environment& environment, const Place& place,
                                      const std::function<std::filesystem::path()>& folder) {
  if (auto pmix = pmix_wireup(environment, place)) return pmix;
  if (!place.launch_id.empty()) return file_wireup(folder(), place.launch_id, kFileTimeout);
  if (const auto address = environment.find("MDGEN_ADDRESS"); address != environment.end()) {
    return fixed_wireup(address->second);
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      std::string("under ") + launcher_name(place.launcher) +
          " without PMIx and without a job id, MDGEN_ADDRESS=HOST:PORT must say where rank 0 listens");
}

}  // namespace mdgen::launcher
