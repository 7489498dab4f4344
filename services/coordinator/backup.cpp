#include "services/coordinator/backup.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/utc.h"
#include "core/format/zip.h"
#include "services/access/access.h"
#include "services/coordinator/admin_socket.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/restored.h"
#include "services/coordinator/store.h"
#include "services/version/version.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr const char* kStore = "coordinator.db";
constexpr const char* kManifest = "manifest.json";
// What a state folder may hold beside the store; see services/access.
constexpr std::array kSecrets = {"tls.crt", "tls.key", "token", "tokens.yaml"};

using Members = std::vector<std::pair<std::string, std::string>>;  // name, bytes

// A folder that is gone when this is.
class Scratch {
 public:
  explicit Scratch(fs::path folder) : folder_(std::move(folder)) {}
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return folder_; }

 private:
  fs::path folder_;
};

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::int64_t milliseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

// A folder with a copy of the store alone, made by the coordinator that runs, or here when none does.
fs::path copied_store(const fs::path& state_dir) {
  if (const auto made = snapshot_of_running(state_dir)) return *made;
  const fs::path folder = new_snapshot_folder(state_dir);
  make_folder(folder);
  try {
    Database database(state_dir / kStore);
    database.run("PRAGMA locking_mode=EXCLUSIVE");
    DatabaseCopy(database, folder / kStore).step(-1);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
  return folder;
}

void count(const std::vector<JobRecord>& records, BackupFacts& facts) {
  facts.jobs = static_cast<std::int64_t>(records.size());
  facts.unfinished = std::count_if(records.begin(), records.end(),
                                   [](const JobRecord& one) { return !is_final(one.state()); });
}

Members with_manifest(Members members, const BackupFacts& facts, std::chrono::system_clock::time_point now) {
  Json manifest = {{"format", kFormat},
                   {"version", version::program_version()},
                   {"made_at", utc_text(now)},
                   {"made_at_ms", milliseconds(now)},
                   {"epoch", facts.epoch},
                   {"jobs", facts.jobs},
                   {"unfinished", facts.unfinished},
                   {"files", Json::array()}};
  for (const auto& [name, bytes] : members)
    manifest["files"].push_back({{"name", name}, {"bytes", bytes.size()}, {"sha256", sha256_hex(bytes)}});
  members.emplace(members.begin(), kManifest, manifest.dump(1) + "\n");
  return members;
}

void write_archive(const fs::path& file, const Members& members) {
  std::vector<format::ZipMember> parts;
  for (const auto& [name, bytes] : members) parts.push_back({name, bytes_of(bytes)});
  format::write_zip(file, parts);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

struct Contents {
  Json manifest;
  std::map<std::string, std::string> files;
};

[[noreturn]] void damaged(const fs::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, "backup " + file.string() + " is damaged: " + reason);
}

Contents read_archive(const fs::path& file) {
  if (!fs::exists(file)) throw Error(ErrorCode::kNotFound, "there is no backup " + file.string());
  const format::ZipReader archive(file);
  if (!archive.contains(kManifest)) damaged(file, "it has no manifest.json");
  Contents contents;
  try {
    contents.manifest = Json::parse(text_of(archive.read(kManifest)));
    if (contents.manifest.at("format").get<int>() != kFormat)
      throw Error(ErrorCode::kFailedPrecondition, "backup " + file.string() + " was made by version " +
                                                      contents.manifest.at("version").get<std::string>() +
                                                      ", this is version " + version::program_version() +
                                                      ": restore it with that one");
    for (const Json& entry : contents.manifest.at("files")) {
      const auto name = entry.at("name").get<std::string>();
      const bool known =
          name == kStore || std::find(kSecrets.begin(), kSecrets.end(), name) != kSecrets.end();
      if (!known) damaged(file, "it names a file \"" + name + "\"");
      std::string bytes = text_of(archive.read(name));
      if (sha256_hex(bytes) != entry.at("sha256").get<std::string>())
        damaged(file, name + " has another SHA-256 than when it was stored");
      contents.files.emplace(name, std::move(bytes));
    }
    (void)contents.manifest.at("epoch").get<std::int64_t>();
    (void)contents.manifest.at("made_at_ms").get<std::int64_t>();
  } catch (const nlohmann::json::exception& error) {
    damaged(file, std::string("manifest.json: ") + error.what());
  }
  if (!contents.files.contains(kStore)) damaged(file, "it has no coordinator.db");
  return contents;
}

void require_empty(const fs::path& state_dir) {
  std::error_code error;
  if (fs::exists(state_dir / kStore, error))
    throw Error(ErrorCode::kFailedPrecondition,
                "state_dir " + state_dir.string() +
                    " holds a store: restore into a new folder, or move it away "
                    "(after stopping its coordinator)");
  for (const std::string& name : names_in_folder(state_dir))
    if (name != "lost+found")
      throw Error(ErrorCode::kFailedPrecondition,
                  "state_dir " + state_dir.string() + " is not empty (it holds " + name + ")");
}

// What agents and trainers have seen since counts as older.
BackupFacts rejuvenate(const fs::path& folder, const Json& manifest,
                       std::chrono::system_clock::time_point now) {
  const auto made_at_ms = manifest.at("made_at_ms").get<std::int64_t>();
  const std::chrono::system_clock::time_point made_at{std::chrono::milliseconds(made_at_ms)};
  BackupFacts facts;
  Store store(folder);
  std::vector<JobRecord> records = store.verify();
  count(records, facts);
  std::vector<const JobRecord*> changed;
  for (JobRecord& record : records) {
    if (is_final(record.state())) continue;
    restore_job(record, utc_text(made_at), now);
    changed.push_back(&record);
  }
  store.save(changed);
  store.raise_epoch(
      restored_epoch(std::max(store.epoch(), manifest.at("epoch").get<std::int64_t>()), made_at, now));
  facts.epoch = store.epoch();
  return facts;
}

}  // namespace

BackupFacts back_up(const fs::path& state_dir, const fs::path& file, bool with_secrets,
                    std::chrono::system_clock::time_point now) {
  if (!fs::exists(state_dir / kStore))
    throw Error(ErrorCode::kNotFound, "state_dir " + state_dir.string() + " holds no coordinator.db");
  if (fs::exists(file))
    throw Error(ErrorCode::kAlreadyExists, file.string() + " is there already: name a new file");
  const Scratch copy(copied_store(state_dir));
  BackupFacts facts;
  facts.secrets = with_secrets;
  {
    Store store(copy.path());
    count(store.verify(), facts);
    facts.epoch = store.epoch();
  }
  Members members = {{kStore, read_file(copy.path() / kStore)}};
  for (const char* name : kSecrets)
    if (with_secrets && fs::exists(state_dir / name)) members.emplace_back(name, read_file(state_dir / name));
  write_archive(file, with_manifest(std::move(members), facts, now));
  facts.bytes = static_cast<std::int64_t>(fs::file_size(file));
  return facts;
}

BackupFacts restore(const fs::path& file, const fs::path& state_dir,
                    std::chrono::system_clock::time_point now) {
  const Contents contents = read_archive(file);
  require_empty(state_dir);
  make_folders(state_dir);
  const Scratch scratch(state_dir / ("restore-" + make_short_id()));
  make_folder(scratch.path());
  access::write_secret(scratch.path() / kStore, contents.files.at(kStore));
  BackupFacts facts = rejuvenate(scratch.path(), contents.manifest, now);
  facts.bytes = static_cast<std::int64_t>(fs::file_size(file));
  for (const auto& [name, bytes] : contents.files) {
    if (name == kStore) continue;
    access::write_secret(state_dir / name, bytes);
    facts.secrets = true;
  }
  fsync_file(scratch.path() / kStore);
  fs::rename(scratch.path() / kStore, state_dir / kStore);
  fsync_folder(state_dir);
  return facts;
}

}  // namespace mdgen::coordinator
