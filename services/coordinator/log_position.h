// Where to start in a log: by time, or so far before its end. I/O on one file at a time; a large log is not
// read through.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace mdgen::coordinator {

// At most `bytes` from `offset` on. Throws Error(kNotFound) naming the file.
std::string read_piece(const std::filesystem::path& file, std::int64_t offset, std::size_t bytes);

// "2026-01-31T12:00:00.250Z …", as mdgen::init_logging writes; nothing for other lines.
std::optional<std::chrono::system_clock::time_point> time_of_line(std::string_view line);

// Of the first line with a time at or after `since`, among the first `size` bytes; `size` when there is none.
// Lines without a time belong to the one before them. Times must not decrease.
std::int64_t offset_since(const std::filesystem::path& file, std::int64_t size,
                          std::chrono::system_clock::time_point since);

// Of the first line that begins at or after `offset`; when none does within a megabyte, of a whole character.
std::int64_t line_start(const std::filesystem::path& file, std::int64_t offset);

}  // namespace mdgen::coordinator
