#include "core/format/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/mapped_file.h"

namespace mdgen::format {

std::size_t dtype_size(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
  return 0;
}

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeader = 100'000'000;  // as the format's own reader
constexpr std::size_t kAlign = 64;

using Json = nlohmann::ordered_json;

[[noreturn]] void reject(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": " + reason);
}

// False on overflow or an unknown dtype.
bool byte_count(const std::string& dtype, std::span<const std::int64_t> shape, std::size_t& bytes) {
  bytes = dtype_size(dtype);
  if (bytes == 0) return false;
  for (const std::int64_t dimension : shape)
    if (dimension < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(dimension), &bytes))
      return false;
  return true;
}

// Refuses a name given twice, which the JSON library itself would let pass.
Json parse_header(const std::filesystem::path& file, std::string_view text) {
  std::vector<std::set<std::string>> names;
  std::string repeated;
  const Json::parser_callback_t watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      repeated = value.get<std::string>();
    return true;
  };
  Json header = Json::parse(text, watch, false);
  if (header.is_discarded() || !header.is_object())
    reject(file, "the safetensors header is not a JSON object");
  if (!repeated.empty()) reject(file, "'" + repeated + "' appears twice in the safetensors header");
  return header;
}

TensorInfo read_info(const std::filesystem::path& file, const std::string& name, const Json& entry,
                     std::size_t data_size) {
  const auto bad = [&](const std::string& reason) { reject(file, "tensor '" + name + "': " + reason); };
  TensorInfo info;
  try {
    if (entry.size() != 3) bad("expected dtype, shape and data_offsets, and nothing else");
    info.dtype = entry.at("dtype").get<std::string>();
    const auto unsigned_list = [&](const char* key) {
      std::vector<std::int64_t> values;
      for (const Json& value : entry.at(key).get_ref<const Json::array_t&>()) {
        if (!value.is_number_unsigned() ||
            value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
          bad(std::string(key) + " must hold integers of at least 0");
        values.push_back(value.get<std::int64_t>());
      }
      return values;
    };
    info.shape = unsigned_list("shape");
    const std::vector<std::int64_t> offsets = unsigned_list("data_offsets");
    if (offsets.size() != 2) bad("data_offsets must hold two integers");
    info.begin = static_cast<std::size_t>(offsets[0]);
    info.end = static_cast<std::size_t>(offsets[1]);
  } catch (const Json::exception& error) {
    bad(error.what());
  }
  std::size_t wanted = 0;
  if (dtype_size(info.dtype) == 0) bad("unknown dtype '" + info.dtype + "'");
  if (!byte_count(info.dtype, info.shape, wanted)) bad("the shape is too large");
  if (info.begin > info.end) bad("it ends before it begins");
  if (info.end > data_size)
    bad("truncated: it ends at byte " + std::to_string(info.end) + " of " + std::to_string(data_size));
  if (info.end - info.begin != wanted)
    bad("it has " + std::to_string(info.end - info.begin) + " bytes, its shape and dtype need " +
        std::to_string(wanted));
  return info;
}

void check_coverage(const std::filesystem::path& file, const std::map<std::string, TensorInfo>& tensors,
                    std::size_t data_size) {
  std::vector<const std::pair<const std::string, TensorInfo>*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::size_t covered = 0;
  for (const auto* entry : order) {
    if (entry->second.begin < covered)
      reject(file, "tensor '" + entry->first + "' overlaps the one before it");
    if (entry->second.begin > covered) reject(file, "there is a hole before tensor '" + entry->first + "'");
    covered = entry->second.end;
  }
  if (covered != data_size)
    reject(file, std::to_string(data_size - covered) + " bytes after the last tensor belong to none");
}

}  // namespace

struct SafetensorsFile::Map {
  std::filesystem::path path;
  MappedFile file;
  std::map<std::string, TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
  std::span<const std::byte> data;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : map_(new Map{file, MappedFile(file), {}, {}, {}}) {
  const std::span<const std::byte> bytes = map_->file.bytes();
  if (bytes.size() < kLengthBytes) reject(file, "truncated: shorter than a safetensors header");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeader)
    reject(file, "the safetensors header is too large (" + std::to_string(length) + " bytes)");
  if (length > bytes.size() - kLengthBytes) reject(file, "truncated: the safetensors header ends early");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  map_->data = bytes.subspan(kLengthBytes + length);

  const Json header = parse_header(file, text);
  for (const auto& [name, entry] : header.items()) {
    if (!entry.is_object()) reject(file, "tensor '" + name + "': not a JSON object");
    if (name != "__metadata__") {
      map_->tensors.emplace(name, read_info(file, name, entry, map_->data.size()));
      continue;
    }
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) reject(file, "metadata '" + key + "' is not text");
      map_->metadata.emplace(key, value.get<std::string>());
    }
  }
  check_coverage(file, map_->tensors, map_->data.size());
}

SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const std::map<std::string, TensorInfo>& SafetensorsFile::tensors() const { return map_->tensors; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return map_->metadata; }

std::span<const std::byte> SafetensorsFile::bytes(const std::string& name) const {
  const auto found = map_->tensors.find(name);
  if (found == map_->tensors.end())
    throw Error(ErrorCode::kNotFound, map_->path.string() + ": there is no tensor '" + name + "'");
  return map_->data.subspan(found->second.begin, found->second.end - found->second.begin);
}

WrittenFile write_safetensors(const std::filesystem::path& file, std::span<const TensorBytes> tensors,
                              const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const TensorBytes& tensor : tensors) {
    std::size_t wanted = 0;
    if (!byte_count(tensor.dtype, tensor.shape, wanted) || wanted != tensor.data.size())
      throw Error(ErrorCode::kInternal, file.string() + ": tensor '" + tensor.name +
                                            "': " + std::to_string(tensor.data.size()) +
                                            " bytes do not fill its shape with dtype " + tensor.dtype);
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      throw Error(ErrorCode::kInvalidArgument,
                  file.string() + ": tensor name '" + tensor.name + "' is taken");
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + wanted}}};
    offset += wanted;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument, file.string() + ": a name or metadata is not UTF-8 text");
  }
  text.append((kAlign - (kLengthBytes + text.size()) % kAlign) % kAlign, ' ');

  const std::uint64_t length = text.size();
  std::vector<std::string_view> parts = {{reinterpret_cast<const char*>(&length), kLengthBytes}, text};
  for (const TensorBytes& tensor : tensors)
    parts.emplace_back(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  return write_file_recorded(file, parts);
}

}  // namespace mdgen::format
