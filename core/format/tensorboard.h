// TensorBoard event files: scalars in the TFRecord framing (length, masked CRC-32C, bytes, masked CRC-32C;
// tensorflow/core/lib/io/record_writer.h documents it) around the messages of event.proto.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace mdgen::v1 {
class Event;
}

namespace mdgen::format {

// CRC-32C (Castagnoli) of `bytes`.
std::uint32_t crc32c(std::string_view bytes);

// Appends to one new file, <folder>/events.out.tfevents.<seconds>.<host>.<pid>.<n>, whose name comes after
// those of all files that are there: TensorBoard reads them in this order. Not thread-safe. A viewer reads
// along: what was flushed is whole records. Throws Error(kUnavailable) naming the file when a write fails.
class EventWriter {
 public:
  // Makes the folder when it is missing. `clock` names the file and dates its first record.
  explicit EventWriter(const std::filesystem::path& folder, const Clock& clock = SystemClock());

  // A run goes on: what earlier files hold of `first_step` and later steps counts no more.
  void go_on(std::int64_t first_step, Clock::Wall when);
  // One point of the curve `tag`.
  void scalar(const std::string& tag, std::int64_t step, double value, Clock::Wall when);
  // A text, shown as Markdown.
  void text(const std::string& tag, const std::string& markdown, Clock::Wall when);
  void flush();

  const std::filesystem::path& file() const { return file_; }

 private:
  void write(const v1::Event& event);
  [[noreturn]] void fail() const;

  std::filesystem::path file_;
  std::ofstream stream_;
};

}  // namespace mdgen::format
