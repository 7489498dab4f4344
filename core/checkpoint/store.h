// Checkpoint folders: names, manifest, publishing, verification. No LibTorch; any program may use it.
//
//   <run folder>/checkpoints/step-000001234-g0007/
//     model.safetensors  ema.safetensors (if kept)  optimizer.safetensors  state.json  manifest.json
//   <run folder>/checkpoints/latest     text, the newest folder's name: a hint for people
//
// A folder appears by rename and is complete from then on. manifest.json holds size and SHA-256 of every
// other file and of itself, spec digest, step, epoch, sample cursor. Functions throw Error naming folder and
// file. No locks, no memory maps that are written: network file systems keep what is relied on (atomic rename
// and exclusive creation), and a listing or a file that goes stale is read again.
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
  // Of just these weights; in the manifest alone. Nothing: they were not validated, or it is not finite.
  std::optional<double> val_loss{};
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

  std::int64_t bytes() const;  // of all files
};

// Publishes a checkpoint: calls `write(folder)` on a temporary folder, records its files in manifest.json,
// fsyncs, renames, fsyncs the parent and replaces `latest`. Returns the final folder. An equal checkpoint
// that is already there counts as success; one of the same name that does not verify is replaced; a good one
// that differs is Error(kUnavailable). A process that dies at any point leaves the whole checkpoint or a
// temporary folder that no reader looks at.
std::filesystem::path publish(const std::filesystem::path& checkpoints, const Name& name,
                              const Summary& summary,
                              const std::function<void(const std::filesystem::path&)>& write);
// The same with digests that the writer took of the bytes in memory, so that what the disk made of them is
// found by verify(). The records must name each file in the folder.
std::filesystem::path publish_recorded(
    const std::filesystem::path& checkpoints, const Name& name, const Summary& summary,
    const std::function<std::vector<FileRecord>(const std::filesystem::path&)>& write);

// Reads manifest.json and checks that the folder holds the files that it names, no others, each with its size
// and digest. Throws Error: kDataLoss for damage, kUnavailable when it cannot be told.
Manifest verify(const std::filesystem::path& folder);
// The same without reading the files.
Manifest check_sizes(const std::filesystem::path& folder);

// Folders with a checkpoint's name, newest first; nothing is opened.
std::vector<std::filesystem::path> list(const std::filesystem::path& checkpoints);

struct Found {
  std::filesystem::path folder;
  Manifest manifest;
};
class Pin;
// The newest that verifies; `notes` gets a line for each bad one that was passed over. One that is removed
// meanwhile is no bad one: the folder is listed again. With `pin` (see pin.h) it stays as long as that lives.
std::optional<Found> newest_good(const std::filesystem::path& checkpoints, std::vector<std::string>& notes,
                                 Pin* pin = nullptr);

// What state.json says of how the weights came to be; each may be empty.
struct History {
  std::int64_t step = 0;
  std::string spec_json;    // the resolved spec
  std::string ledger_json;  // the records that lead to the step, see core/ledger/json.h
};
// Throws Error(kDataLoss) naming the file.
History read_history(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
