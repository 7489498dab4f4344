#include "core/checkpoint/pin.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/log.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPin = ".pin-";

}  // namespace

Pin::Pin(const fs::path& folder) {
  const fs::path file = folder.parent_path() / (std::string(kPin) + folder.filename().string() + "-" +
                                                to_text(this_process()) + "-" + make_short_id());
  try {
    write_file_synced(file, "");
    file_ = file;
  } catch (const Error& error) {
    std::error_code ignored;
    fs::remove(file, ignored);
    spdlog::debug("{} is read without a pin: {}", folder.string(), error.what());
  }
}

Pin::~Pin() {
  std::error_code ignored;
  if (held()) fs::remove(file_, ignored);
}

Pin::Pin(Pin&& other) noexcept : file_(std::exchange(other.file_, {})) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

std::optional<PinName> parse_pin(const std::string& file) {
  if (!file.starts_with(kPin)) return std::nullopt;
  const auto id = file.rfind('-');
  const auto owner = file.rfind('-', id - 1);
  if (id == std::string::npos || owner == std::string::npos || owner < kPin.size()) return std::nullopt;
  return PinName{file.substr(kPin.size(), owner - kPin.size()), file,
                 owner_from_text(std::string_view(file).substr(owner + 1, id - owner - 1))};
}

std::set<std::string> pinned(const std::vector<std::string>& names) {
  std::set<std::string> folders;
  for (const std::string& name : names) {
    const auto pin = parse_pin(name);
    if (pin && (!pin->owner || life_of(*pin->owner) != Life::kDead)) folders.insert(pin->checkpoint);
  }
  return folders;
}

}  // namespace mdgen::checkpoint
