// Python pickles as PyTorch's checkpoints hold them, as data alone. Unpickling in Python is running code;
// here nothing runs: a pickle is read into values of the kinds below, and every other class or function that
// it names is refused by its name. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdgen::format {

// A view of a storage, which lies outside the pickle. Sizes and strides count items.
struct PickledTensor {
  std::string storage;  // its key: the member data/<key> of a checkpoint
  std::string dtype;    // as safetensors names it: "F32", "I64", …
  std::int64_t storage_items = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

class PickleValue {
 public:
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kText,  // paths of pathlib too
    kBytes,
    kList,
    kTuple,
    kSet,
    kDict,  // defaultdict too
    kOrderedDict,
    kNamespace,  // argparse.Namespace
    kTensor,     // parameters too
    kGlobal,     // a class or function by name; never in a finished tree
    kStorage,    // likewise
  };

  explicit PickleValue(Kind kind) : kind_(kind) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_dict() const {
    return kind_ == Kind::kDict || kind_ == Kind::kOrderedDict || kind_ == Kind::kNamespace;
  }

  // Plain members; which of them mean something follows from the kind.
  std::int64_t integer = 0;               // kBool, kInt
  double real = 0;                        // kFloat
  std::string text;                       // kText (UTF-8), kBytes; kGlobal: "module name"
  std::vector<PickleValue*> items;        // lists, tuples, sets; dicts: key, value, key, value, …
  std::unique_ptr<PickledTensor> tensor;  // kTensor, kStorage

  // A dict's value under a text or integer key; nullptr when there is none. The last one wins, as in Python.
  const PickleValue* find(std::string_view key) const;
  const PickleValue* find(std::int64_t key) const;

 private:
  friend class PickleReader;
  Kind kind_;
};

// Owns its values; `root` is one of them.
class PickleTree {
 public:
  PickleValue& make(PickleValue::Kind kind) { return values_.emplace_back(kind); }
  std::size_t size() const { return values_.size(); }
  PickleValue* root = nullptr;

  // For writing.
  PickleValue& none() { return make(PickleValue::Kind::kNone); }
  PickleValue& boolean(bool value);
  PickleValue& integer(std::int64_t value);
  PickleValue& real(double value);
  PickleValue& text(std::string_view value);
  PickleValue& tensor(PickledTensor value);
  PickleValue& dict(PickleValue::Kind kind = PickleValue::Kind::kDict) { return make(kind); }
  PickleValue& sequence(PickleValue::Kind kind, std::vector<PickleValue*> items);
  void put(PickleValue& dict, std::string_view key, PickleValue& value);
  void put(PickleValue& dict, std::int64_t key, PickleValue& value);

 private:
  std::deque<PickleValue> values_;
};

inline constexpr std::size_t kMaxPickleBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxPickleValues = 2'000'000;
inline constexpr int kMaxPickleDepth = 100;

// Reads protocols 2 to 5. Memory is bounded by the limits above. Throws Error(kDataLoss) naming `source`:
// truncated, an opcode or a class that is not accepted, a value that contains itself, too large, too deep.
PickleTree read_pickle(std::span<const std::byte> bytes, const std::string& source);

// Protocol 2, as torch.save writes it. Tensors become calls of torch._utils._rebuild_tensor_v2 on CPU
// storages.
std::string write_pickle(const PickleValue& root);

}  // namespace mdgen::format
