#include "core/format/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/error.h"
#include "mdgen/v1/event.pb.h"

namespace mdgen::format {
namespace {

constexpr std::uint32_t kCastagnoliReflected = 0x82f63b78;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kCastagnoliReflected : 0);
    table[byte] = crc;
  }
  return table;
}

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

// A checksum of bytes that hold checksums is weak: TFRecord stores it rotated, with an offset.
std::string masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return little_endian(((crc >> 15) | (crc << 17)) + 0xa282ead8U, 4);
}

double seconds(Clock::Wall when) { return std::chrono::duration<double>(when.time_since_epoch()).count(); }

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Of the newest file in the folder; 0: there is none.
std::int64_t newest_seconds(const std::filesystem::path& folder) {
  std::int64_t newest = 0;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix))
      newest = std::max<std::int64_t>(newest, std::strtoll(name.c_str() + kPrefix.size(), nullptr, 10));
  }
  return newest;
}

std::filesystem::path file_name(const std::filesystem::path& folder, Clock::Wall now) {
  static std::atomic<int> made{0};
  const std::int64_t after = std::max(static_cast<std::int64_t>(seconds(now)), newest_seconds(folder) + 1);
  return std::string(kPrefix) + std::to_string(after) + "." + host_name() + "." + std::to_string(::getpid()) +
         "." + std::to_string(made++);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_table();
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

EventWriter::EventWriter(const std::filesystem::path& folder, const Clock& clock)
    : file_(folder / file_name(folder, clock.wall())) {
  std::error_code made;
  std::filesystem::create_directories(folder, made);
  errno = 0;
  stream_.open(file_, std::ios::binary | std::ios::trunc);
  if (!stream_) fail();
  v1::Event first;
  first.set_wall_time(seconds(clock.wall()));
  first.set_file_version("brain.Event:2");
  write(first);
  flush();
}

void EventWriter::go_on(std::int64_t first_step, Clock::Wall when) {
  v1::Event event;
  event.set_wall_time(seconds(when));
  event.set_step(first_step);
  event.mutable_session_log()->set_status(v1::SessionLog::START);
  write(event);
}

void EventWriter::scalar(const std::string& tag, std::int64_t step, double value, Clock::Wall when) {
  v1::Event event;
  event.set_wall_time(seconds(when));
  event.set_step(step);
  v1::ScalarSummary::Value* point = event.mutable_summary()->add_value();
  point->set_tag(tag);
  point->set_simple_value(static_cast<float>(value));
  write(event);
}

void EventWriter::text(const std::string& tag, const std::string& markdown, Clock::Wall when) {
  constexpr int kString = 7;
  constexpr int kTensor = 2;
  v1::Event event;
  event.set_wall_time(seconds(when));
  v1::ScalarSummary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  value->mutable_metadata()->set_data_class(kTensor);
  value->mutable_tensor()->set_dtype(kString);
  value->mutable_tensor()->mutable_tensor_shape()->add_dim()->set_size(1);
  value->mutable_tensor()->add_string_val(markdown);
  write(event);
}

void EventWriter::flush() {
  errno = 0;
  if (!stream_.flush()) fail();
}

void EventWriter::fail() const {
  throw Error(ErrorCode::kUnavailable, "cannot write " + file_.string() + ": " + std::strerror(errno));
}

void EventWriter::write(const v1::Event& event) {
  const std::string bytes = event.SerializeAsString();
  const std::string length = little_endian(bytes.size(), 8);
  errno = 0;
  stream_ << length << masked_crc(length) << bytes << masked_crc(bytes);
  if (!stream_) fail();
}

}  // namespace mdgen::format
