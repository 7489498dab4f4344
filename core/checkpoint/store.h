// Checkpoint folders: names, manifest, verification, retention. No LibTorch; any program may use it.
//
//   <run folder>/checkpoints/step-000001234-g0007/
//     model.safetensors  ema.safetensors (if kept)  optimizer.safetensors  state.json  manifest.json
//   <run folder>/checkpoints/latest     text, the newest folder's name: a hint for people
//
// A folder appears by rename and is complete from then on. manifest.json holds size and SHA-256 of every
// other file, spec digest, step, epoch, sample cursor. Functions throw Error naming folder and file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mdgen::checkpoint {

struct Name {
  std::int64_t step = 0;  // optimizer steps applied
  std::int64_t generation = 0;
  auto operator<=>(const Name&) const = default;
};
std::string folder_name(const Name& name);                         // "step-000001234-g0007"
std::optional<Name> parse_folder_name(const std::string& folder);  // nothing for any other name

struct Summary {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t samples = 0;  // consumed by the effective chain
  std::string spec_digest{};
  std::string plan_digest{};
  // Where the step lies in its plan; in state.json alone.
  std::int64_t epochs_done = 0;
  std::int64_t epoch_steps = 0;  // of the epoch in progress
};

// What is written beside the files: manifest.json.
struct FileRecord {
  std::string name;
  std::int64_t bytes = 0;
  std::string sha256;
};
struct Manifest {
  Summary summary;
  std::vector<FileRecord> files;
};

// Publishes a checkpoint: calls `write(folder)` on a temporary folder, records its files in manifest.json,
// fsyncs, renames, fsyncs the parent and replaces `latest`. Returns the final folder. An equal checkpoint
// that is already there counts as success; one of the same name that does not verify is replaced; a good one
// that differs is Error(kUnavailable).
std::filesystem::path publish(const std::filesystem::path& checkpoints, const Name& name,
                              const Summary& summary,
                              const std::function<void(const std::filesystem::path&)>& write);

// Reads manifest.json and checks every file's size and digest. Throws Error(kDataLoss).
Manifest verify(const std::filesystem::path& folder);

// Folders with a checkpoint's name, newest first; nothing is opened.
std::vector<std::filesystem::path> list(const std::filesystem::path& checkpoints);

struct Found {
  std::filesystem::path folder;
  Manifest manifest;
};
// The newest that verifies; `notes` gets a line for each bad one that was passed over.
std::optional<Found> newest_good(const std::filesystem::path& checkpoints, std::vector<std::string>& notes);

// Removes all but the newest `keep_last` (0: keeps all), never the newest that verifies: rename to .trash-*,
// then unlink. Also sweeps temporary folders of generations before `generation`.
void retain(const std::filesystem::path& checkpoints, int keep_last, std::int64_t generation);

// What state.json says of how the weights came to be; each may be empty.
struct History {
  std::int64_t step = 0;
  std::string spec_json;    // the resolved spec
  std::string ledger_json;  // the records that lead to the step, see core/ledger/json.h
};
// Throws Error(kDataLoss) naming the file.
History read_history(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
