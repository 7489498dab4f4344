#include "launcher/wireup.h"

#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "services/coordinator/address.h"

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

  Handover share(const std::optional<Handover>& own) override {
    if (!own) return handover_from_text(read());
    std::filesystem::create_directories(folder_);
    access::write_secret(folder_ / name_, to_text(*own) + std::string(kEnd));
    owns_ = true;
    return *own;
  }

  Handover latest(const Handover& last) override {
    const auto found = look();
    return found ? handover_from_text(*found) : last;
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
      require_private(at->path());
      const std::string text = read_file(at->path());
      if (text.ends_with(kEnd)) return text.substr(0, text.size() - kEnd.size());
    }
    return std::nullopt;
  }

  // Whoever may write here could have the other ranks join a coordinator of his own.
  static void require_private(const std::filesystem::path& file) {
    using std::filesystem::perms;
    const perms others = std::filesystem::status(file).permissions() & (perms::group_all | perms::others_all);
    if (others == perms::none) return;
    throw Error(ErrorCode::kFailedPrecondition, file.string() + " is open to others than its owner");
  }

  std::filesystem::path folder_;
  std::string name_;
  std::chrono::milliseconds timeout_;
  bool owns_ = false;
};

class FixedWireup : public Wireup {
 public:
  explicit FixedWireup(Agreement agreement) : agreement_(std::move(agreement)) {}
  Handover share(const std::optional<Handover>&) override {
    return {{agreement_.address}, agreement_.access ? agreement_.access->for_clients() : access::Access{}};
  }
  std::optional<Agreement> agreement() const override { return agreement_; }

 private:
  Agreement agreement_;
};

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

}  // namespace

std::unique_ptr<Wireup> file_wireup(const std::filesystem::path& folder, const std::string& launch_id,
                                    std::chrono::milliseconds timeout) {
  return std::make_unique<FileWireup>(folder, launch_id, timeout);
}

std::unique_ptr<Wireup> fixed_wireup(const std::string& address, const std::string& token) {
  Agreement agreement{.address = address, .access = std::nullopt};
  if (!token.empty()) {
    const std::string checked = access::checked_token(token, "MDGEN_TOKEN");
    agreement.access = access::ServerAccess{access::identity_from_secret(checked), checked};
  } else if (!coordinator::is_loopback(coordinator::parse_address("MDGEN_ADDRESS", address))) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "with MDGEN_ADDRESS, which others can reach, MDGEN_TOKEN must hold a secret, the same for all "
        "ranks; `openssl rand -hex 32` gives one");
  }
  return std::make_unique<FixedWireup>(std::move(agreement));
}

std::unique_ptr<Wireup> choose_wireup(const Environment& environment, const Place& place,
                                      const std::function<std::filesystem::path()>& folder) {
  if (!place.nested) {
    if (auto pmix = pmix_wireup(environment, place)) return pmix;
  }
  if (!place.launch_id.empty()) return file_wireup(folder(), place.launch_id, kFileTimeout);
  if (const std::string address = variable(environment, "MDGEN_ADDRESS"); !address.empty()) {
    return fixed_wireup(address, variable(environment, "MDGEN_TOKEN"));
  }
  throw Error(ErrorCode::kInvalidArgument, std::string("under ") + launcher_name(place.launcher) +
                                               " without PMIx and without a job id, MDGEN_ADDRESS=HOST:PORT "
                                               "must say where rank 0 listens, and MDGEN_TOKEN hold a "
                                               "secret that all ranks share");
}

}  // namespace mdgen::launcher
