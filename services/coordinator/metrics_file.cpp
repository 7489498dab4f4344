#include "services/coordinator/metrics_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace mdgen::coordinator {
namespace {

constexpr std::int64_t kChunk = std::int64_t{1} << 20;
constexpr std::int64_t kKnownAgain = 64;

// The numbers of a JSON object, by name; null counts as NaN, everything else is passed over.
class Numbers : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<std::pair<std::string, double>> found;
  std::optional<std::int64_t> step;

  bool null() override { return take(std::nan("")); }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return take_integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    return take_integer(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return take(value); }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) key_ = name;
    return true;
  }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ > 1; }  // the line itself is an object
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool take_integer(std::int64_t value) {
    if (depth_ == 1 && key_ == "step") {
      step = value;
      return true;
    }
    return take(static_cast<double>(value));
  }
  bool take(double value) {
    if (depth_ == 1) found.emplace_back(key_, value);
    return depth_ > 0;
  }

  int depth_ = 0;
  std::string key_;
};

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

// As much as there is, up to `size`.
std::string read_at(int descriptor, std::int64_t offset, std::int64_t size) {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::pread(descriptor, bytes.data() + have, bytes.size() - have,
                                static_cast<off_t>(offset + static_cast<std::int64_t>(have)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::kUnavailable, std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

void MetricsFile::update(const std::filesystem::path& file) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (descriptor.number < 0) {
    if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE)
      throw Error(ErrorCode::kUnavailable, file.string() + ": " + std::strerror(errno));
    *this = {};
    return;
  }
  struct stat facts {};
  try {
    if (::fstat(descriptor.number, &facts) != 0) throw Error(ErrorCode::kUnavailable, std::strerror(errno));
    const Identity identity{facts.st_dev, facts.st_ino};
    if (identity != identity_ || !is_continued(descriptor.number, facts.st_size)) *this = {};
    identity_ = identity;
    read_from(descriptor.number, facts.st_size);
  } catch (const Error& error) {
    throw Error(error.code(), file.string() + ": " + error.what());
  }
}

bool MetricsFile::is_continued(int descriptor, std::int64_t size) const {
  const auto known = static_cast<std::int64_t>(before_.size());
  return size >= offset_ && read_at(descriptor, offset_ - known, known) == before_;
}

void MetricsFile::read_from(int descriptor, std::int64_t size) {
  std::int64_t longest = kChunk;
  while (offset_ < size) {
    const std::string chunk = read_at(descriptor, offset_, std::min(longest, size - offset_));
    const auto end = chunk.rfind('\n');
    if (end == std::string::npos) {
      if (static_cast<std::int64_t>(chunk.size()) < longest) break;
      longest *= 2;  // a line longer than a chunk
      continue;
    }
    const std::string_view whole = std::string_view(chunk).substr(0, end + 1);
    for (std::size_t at = 0; at < whole.size();) {
      const std::size_t stop = whole.find('\n', at);
      take_line(whole.substr(at, stop - at));
      at = stop + 1;
    }
    offset_ += static_cast<std::int64_t>(whole.size());
    before_ = whole.substr(whole.size() - std::min<std::size_t>(whole.size(), kKnownAgain));
    longest = kChunk;
  }
}

void MetricsFile::take_line(std::string_view line) {
  Numbers numbers;
  if (!nlohmann::json::sax_parse(line.begin(), line.end(), &numbers) || !numbers.step) return;
  for (const auto& [name, value] : numbers.found) {
    auto entry = series_.find(name);
    if (entry == series_.end()) {
      if (series_.size() == kMostNames) continue;
      entry = series_.try_emplace(name).first;
    }
    entry->second.add({*numbers.step, value});
  }
  last_step_ = std::max(last_step_, *numbers.step);
}

std::size_t MetricsFile::bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, series] : series_) bytes += name.size() + sizeof series + series.bytes();
  return bytes;
}

}  // namespace mdgen::coordinator
