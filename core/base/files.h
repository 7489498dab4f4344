// Files that are there whole or not at all. All functions throw Error with the file's name and the system's
// reason.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace mdgen {

std::string read_file(const std::filesystem::path& file);

// Writes, fsyncs and closes a new file (it must not exist), checking each.
void write_file_synced(const std::filesystem::path& file, std::string_view bytes);
void write_file_synced(const std::filesystem::path& file, std::span<const std::string_view> parts);

// write_file_synced to a temporary name beside `file`, then rename over it and fsync the folder.
void replace_file(const std::filesystem::path& file, std::string_view bytes);
void replace_file(const std::filesystem::path& file, std::span<const std::string_view> parts);

void fsync_file(const std::filesystem::path& file);

// EINVAL and ENOTSUP are tolerated: some network file systems cannot.
void fsync_folder(const std::filesystem::path& folder);

}  // namespace mdgen
