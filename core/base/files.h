// Files that are there whole or not at all. All functions throw Error with the file's name and the system's
// reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace mdgen {

// The disk or a quota is full. Its code is kUnavailable.
class NoSpace : public Error {
 public:
  explicit NoSpace(const std::string& message) : Error(ErrorCode::kUnavailable, message) {}
};

std::string read_file(const std::filesystem::path& file);

// Writes, fsyncs and closes a new file (it must not exist), checking each.
void write_file_synced(const std::filesystem::path& file, std::string_view bytes);
void write_file_synced(const std::filesystem::path& file, std::span<const std::string_view> parts);

// write_file_synced to a temporary name beside `file`, then rename over it and fsync the folder.
void replace_file(const std::filesystem::path& file, std::string_view bytes);
void replace_file(const std::filesystem::path& file, std::span<const std::string_view> parts);

// What was handed to the file system, not what it kept.
struct WrittenFile {
  std::int64_t bytes = 0;
  std::string sha256;
};
// write_file_synced, with the digest of the bytes as they are in memory.
WrittenFile write_file_recorded(const std::filesystem::path& file, std::span<const std::string_view> parts);

void fsync_file(const std::filesystem::path& file);

// EINVAL and ENOTSUP are tolerated: some network file systems cannot.
void fsync_folder(const std::filesystem::path& folder);

// Makes a folder that must not exist; its parent must.
void make_folder(const std::filesystem::path& folder);

// Makes a folder and what is missing above it, each fsynced into its parent.
void make_folders(const std::filesystem::path& folder);

// Names in a folder, in no order; empty when there is no such folder. A listing that goes stale under way
// (NFS) begins anew.
std::vector<std::string> names_in_folder(const std::filesystem::path& folder);

// Asks the system to forget a file's pages, so that a later read comes from the disk. A hint.
void drop_from_cache(const std::filesystem::path& file) noexcept;

// What an unprivileged writer may still write below a folder, as far as the file system tells (quotas it
// often does not).
std::int64_t free_bytes(const std::filesystem::path& folder);

}  // namespace mdgen
