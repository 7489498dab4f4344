#include "core/format/pickle_names.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

using Kind = PickleValue::Kind;

struct Storage {
  std::string_view global;
  const char* dtype;
};
constexpr std::array<Storage, 10> kStorages = {{{"torch FloatStorage", "F32"},
                                                {"torch DoubleStorage", "F64"},
                                                {"torch HalfStorage", "F16"},
                                                {"torch BFloat16Storage", "BF16"},
                                                {"torch LongStorage", "I64"},
                                                {"torch IntStorage", "I32"},
                                                {"torch ShortStorage", "I16"},
                                                {"torch CharStorage", "I8"},
                                                {"torch ByteStorage", "U8"},
                                                {"torch BoolStorage", "BOOL"}}};

// Factories of a defaultdict are named, never called.
constexpr std::array<std::string_view, 16> kAccepted = {"collections OrderedDict",
                                                        "collections defaultdict",
                                                        "argparse Namespace",
                                                        "torch._utils _rebuild_tensor_v2",
                                                        "torch._utils _rebuild_parameter",
                                                        "torch Size",
                                                        "_codecs encode",
                                                        "builtins dict",
                                                        "builtins list",
                                                        "builtins int",
                                                        "builtins float",
                                                        "__builtin__ dict",
                                                        "__builtin__ list",
                                                        "__builtin__ int",
                                                        "__builtin__ float",
                                                        "__builtin__ str"};

}  // namespace

bool is_set_type(std::string_view global) {
  return global == "builtins set" || global == "__builtin__ set" || global == "builtins frozenset" ||
         global == "__builtin__ frozenset";
}

bool is_path_type(std::string_view global) {
  if (!global.starts_with("pathlib ") && !global.starts_with("pathlib._local ")) return false;
  const std::string_view name = global.substr(global.find(' ') + 1);
  return name == "PosixPath" || name == "PurePosixPath" || name == "WindowsPath" || name == "PureWindowsPath";
}

const char* dtype_of_storage(std::string_view global) {
  for (const Storage& storage : kStorages)
    if (storage.global == global) return storage.dtype;
  return nullptr;
}

const char* storage_of_dtype(std::string_view dtype) {
  for (const Storage& storage : kStorages)
    if (storage.dtype == dtype) return storage.global.data() + std::string_view("torch ").size();
  return nullptr;
}

bool is_accepted_global(std::string_view global) {
  return std::find(kAccepted.begin(), kAccepted.end(), global) != kAccepted.end() || is_set_type(global) ||
         is_path_type(global) || dtype_of_storage(global) != nullptr;
}

bool fits_storage(const PickledTensor& view) {
  std::int64_t count = 1;
  std::int64_t last = view.offset;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] == 0) return view.offset >= 0 && view.offset <= view.storage_items;
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(count, view.shape[i], &count) ||
        __builtin_mul_overflow(view.shape[i] - 1, view.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return false;
  }
  return view.offset >= 0 && last < view.storage_items && count <= view.storage_items;
}

bool latin1_bytes(std::string_view text, std::string& bytes) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes.push_back(text[i]);
    } else if ((lead == 0xc2 || lead == 0xc3) && i + 1 < text.size()) {
      bytes.push_back(static_cast<char>((lead & 3) << 6 | (text[++i] & 0x3f)));
    } else {
      return false;
    }
  }
  return true;
}

void check_finished(const PickleValue& root, const std::string& source) {
  const auto reject = [&](const std::string& reason) {
    throw Error(ErrorCode::kDataLoss, source + ": " + reason);
  };
  struct Visit {
    const PickleValue* value;
    std::size_t next;
  };
  enum class Mark { kOpen, kDone };
  std::unordered_map<const PickleValue*, Mark> marks;
  std::vector<Visit> path{{&root, 0}};
  marks[&root] = Mark::kOpen;
  while (!path.empty()) {
    Visit& visit = path.back();
    if (visit.value->is(Kind::kGlobal)) reject("it holds the bare name " + visit.value->text);
    if (visit.value->is(Kind::kStorage)) reject("it holds a bare storage");
    if (visit.next == visit.value->items.size()) {
      marks[visit.value] = Mark::kDone;
      path.pop_back();
      continue;
    }
    const PickleValue* child = visit.value->items[visit.next++];
    const auto [seen, is_new] = marks.emplace(child, Mark::kOpen);
    if (!is_new && seen->second == Mark::kOpen) reject("a value contains itself");
    if (!is_new) continue;
    if (path.size() >= static_cast<std::size_t>(kMaxPickleDepth))
      reject("values are nested more than " + std::to_string(kMaxPickleDepth) + " deep");
    path.push_back({child, 0});
  }
}

}  // namespace mdgen::format
