#include <bit>
#include <limits>

#include "core/base/error.h"
#include "core/format/pickle.h"
#include "core/format/pickle_names.h"

namespace mdgen::format {
namespace {

using Kind = PickleValue::Kind;

// Nothing is memoized: what stands in two places is written twice.
class Writer {
 public:
  std::string run(const PickleValue& root) {
    out_ = "\x80\x02";
    write(root, 0);
    out_ += '.';
    return std::move(out_);
  }

 private:
  template <typename Integer>
  void bytes_of(Integer value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void global(std::string_view module, std::string_view name) {
    out_.append("c").append(module).append("\n").append(name).append("\n");
  }

  void write(const PickleValue& value, int depth) {
    if (depth > kMaxPickleDepth) throw Error(ErrorCode::kInternal, "a value to pickle is nested too deeply");
    switch (value.kind()) {
      case Kind::kNone:
        out_ += 'N';
        return;
      case Kind::kBool:
        out_ += value.integer != 0 ? '\x88' : '\x89';
        return;
      case Kind::kInt:
        return integer(value.integer);
      case Kind::kFloat:
        return real(value.real);
      case Kind::kText:
        return text(value.text);
      case Kind::kList:
        return list(value, depth);
      case Kind::kTuple:
        return tuple(value, depth);
      case Kind::kDict:
        out_ += '}';
        return items(value, 'u', depth);
      case Kind::kOrderedDict:
        global("collections", "OrderedDict");
        out_ += ")R";
        return items(value, 'u', depth);
      case Kind::kNamespace:
        global("argparse", "Namespace");
        out_ += ")\x81}";
        items(value, 'u', depth);
        out_ += 'b';
        return;
      case Kind::kTensor:
        return tensor(*value.tensor);
      default:
        throw Error(ErrorCode::kInternal, "a value of this kind is never written to a pickle");
    }
  }

  void integer(std::int64_t value) {
    if (value >= std::numeric_limits<std::int32_t>::min() &&
        value <= std::numeric_limits<std::int32_t>::max()) {
      out_ += 'J';
      return bytes_of(static_cast<std::int32_t>(value));
    }
    out_ += "\x8a\x08";
    bytes_of(value);
  }

  void real(double value) {
    out_ += 'G';
    bytes_of(__builtin_bswap64(std::bit_cast<std::uint64_t>(value)));
  }

  void text(std::string_view value) {
    out_ += 'X';
    bytes_of(static_cast<std::uint32_t>(value.size()));
    out_ += value;
  }

  void items(const PickleValue& value, char close, int depth) {
    if (value.items.empty()) return;
    out_ += '(';
    for (const PickleValue* item : value.items) write(*item, depth + 1);
    out_ += close;
  }

  void list(const PickleValue& value, int depth) {
    out_ += ']';
    items(value, 'e', depth);
  }

  void tuple(const PickleValue& value, int depth) {
    if (value.items.empty()) {
      out_ += ')';
      return;
    }
    items(value, 't', depth);
  }

  void integers(const std::vector<std::int64_t>& values) {
    out_ += '(';
    for (const std::int64_t value : values) integer(value);
    out_ += 't';
  }

  void tensor(const PickledTensor& view) {
    const char* storage = storage_of_dtype(view.dtype);
    if (storage == nullptr)
      throw Error(ErrorCode::kInternal, "PyTorch has no storage of dtype " + view.dtype);
    global("torch._utils", "_rebuild_tensor_v2");
    out_ += "((";
    text("storage");
    global("torch", storage);
    text(view.storage);
    text("cpu");
    integer(view.storage_items);
    out_ += "tQ";
    integer(view.offset);
    integers(view.shape);
    integers(view.strides);
    out_ += "\x89";  // requires_grad
    global("collections", "OrderedDict");
    out_ += ")RtR";  // no hooks
  }

  std::string out_;
};

}  // namespace

std::string write_pickle(const PickleValue& root) { return Writer().run(root); }

}  // namespace mdgen::format
