#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/pickle.h"
#include "core/format/pickle_names.h"

namespace mdgen::format {

using Kind = PickleValue::Kind;

// The pickle machine: a stack of values, marks in it, and a memo.
class PickleReader {
 public:
  PickleReader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {
    if (bytes.size() > kMaxPickleBytes)
      reject("the pickle has " + std::to_string(bytes.size()) + " bytes; at most " +
             std::to_string(kMaxPickleBytes) + " are read");
  }

  PickleTree run() {
    while (!step(byte())) {
    }
    tree_.root = pop();
    return std::move(tree_);
  }

 private:
  [[noreturn]] void reject(const std::string& reason) const {
    throw Error(ErrorCode::kDataLoss, source_ + ": " + to_utf8(reason));
  }

  // What stands in the pickle.
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - position_) reject("truncated at byte " + std::to_string(bytes_.size()));
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, count);
    position_ += count;
    return text;
  }
  unsigned char byte() { return static_cast<unsigned char>(take(1)[0]); }
  std::uint64_t number(int width) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(static_cast<std::uint64_t>(width)).data(), static_cast<std::size_t>(width));
    return value;
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_,
                                bytes_.size() - position_);
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) reject("truncated in a name");
    position_ += end + 1;
    return rest.substr(0, end);
  }

  // The stack.
  PickleValue& make(Kind kind) {
    if (tree_.size() >= kMaxPickleValues) reject("more than " + std::to_string(kMaxPickleValues) + " values");
    return tree_.make(kind);
  }
  PickleValue& push(Kind kind) {
    PickleValue& value = make(kind);
    stack_.push_back(&value);
    return value;
  }
  PickleValue* pop() {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size())) reject("its stack runs empty");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue* top() {
    PickleValue* value = pop();
    stack_.push_back(value);
    return value;
  }
  std::vector<PickleValue*> pop_to_mark() {
    if (marks_.empty()) reject("it closes a group that was never opened");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<PickleValue*> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return items;
  }
  std::vector<PickleValue*> pop_many(int count) {
    std::vector<PickleValue*> items(static_cast<std::size_t>(count));
    for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
    return items;
  }

  // What opcodes copy from values that the memo holds: a few bytes of pickle could copy much, again and
  // again.
  void charge(std::size_t copied) {
    copied_ += copied;
    if (copied_ > kMaxPickleBytes) reject("it copies its values more often than any checkpoint does");
  }

  void push_integer(std::int64_t value) { push(Kind::kInt).integer = value; }
  void push_text(std::uint64_t length) { push(Kind::kText).text = take(length); }
  void push_bytes(std::uint64_t length) { push(Kind::kBytes).text = take(length); }
  void push_items(Kind kind, std::vector<PickleValue*> items) { push(kind).items = std::move(items); }
  void push_dict(std::vector<PickleValue*> items) {
    if (items.size() % 2 != 0) reject("a dict has a key without a value");
    push_items(Kind::kDict, std::move(items));
  }

  bool step(unsigned char opcode);  // true at the end
  bool step_scalar(unsigned char opcode);
  bool step_container(unsigned char opcode);
  bool step_memo(unsigned char opcode);
  bool step_object(unsigned char opcode);

  void push_long(std::uint64_t length);
  void push_real();
  void append(std::vector<PickleValue*> items);
  void set_items(std::vector<PickleValue*> items);
  void memoize(std::uint64_t key) { memo_[key] = top(); }
  void recall(std::uint64_t key);
  void push_global(std::string_view module, std::string_view name);
  void load_storage();
  void reduce();
  void new_object();
  void build();
  PickleValue* call(const std::string& function, const std::vector<PickleValue*>& arguments);
  PickleValue* ordered_dict(const std::vector<PickleValue*>& arguments);
  PickleValue* path(const std::vector<PickleValue*>& arguments);
  PickleValue* rebuild_tensor(const std::vector<PickleValue*>& arguments);
  std::vector<std::int64_t> integers(const PickleValue& tuple, const char* what);

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  std::string source_;
  PickleTree tree_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
  std::size_t copied_ = 0;
};

bool PickleReader::step(unsigned char opcode) {
  if (opcode == '.') return true;
  if (step_scalar(opcode) || step_container(opcode) || step_memo(opcode) || step_object(opcode)) return false;
  constexpr char kDigits[] = "0123456789abcdef";
  reject(std::string("its opcode 0x") + kDigits[opcode >> 4] + kDigits[opcode & 15] + " at byte " +
         std::to_string(position_ - 1) + " is not accepted");
}

bool PickleReader::step_scalar(unsigned char opcode) {
  switch (opcode) {
    case 0x80:
      return byte() <= 5 ? true : (reject("it is of a later protocol than 5"), false);
    case 0x95:
      return take(8), true;  // FRAME
    case 'N':
      return push(Kind::kNone), true;
    case 0x88:
      return push(Kind::kBool).integer = 1, true;
    case 0x89:
      return push(Kind::kBool).integer = 0, true;
    case 'J':
      return push_integer(static_cast<std::int32_t>(number(4))), true;
    case 'K':
      return push_integer(static_cast<std::int64_t>(number(1))), true;
    case 'M':
      return push_integer(static_cast<std::int64_t>(number(2))), true;
    case 0x8a:
      return push_long(number(1)), true;
    case 0x8b:
      return push_long(number(4)), true;
    case 'G':
      return push_real(), true;
    case 'X':
    case 'T':
      return push_text(number(4)), true;
    case 0x8c:
    case 'U':
      return push_text(number(1)), true;
    case 0x8d:
      return push_text(number(8)), true;
    case 'B':
      return push_bytes(number(4)), true;
    case 'C':
      return push_bytes(number(1)), true;
    case 0x8e:
      return push_bytes(number(8)), true;
    default:
      return false;
  }
}

bool PickleReader::step_container(unsigned char opcode) {
  switch (opcode) {
    case '(':
      return marks_.push_back(stack_.size()), true;
    case '0':
      return pop(), true;
    case '1':
      return pop_to_mark(), true;
    case '2':
      return stack_.push_back(top()), true;
    case ']':
      return push(Kind::kList), true;
    case 'l':
      return push_items(Kind::kList, pop_to_mark()), true;
    case 'a':
      return append(pop_many(1)), true;
    case 'e':
      return append(pop_to_mark()), true;
    case ')':
      return push(Kind::kTuple), true;
    case 't':
      return push_items(Kind::kTuple, pop_to_mark()), true;
    case 0x85:
    case 0x86:
    case 0x87:
      return push_items(Kind::kTuple, pop_many(opcode - 0x84)), true;
    case '}':
      return push(Kind::kDict), true;
    case 'd':
      return push_dict(pop_to_mark()), true;
    case 's':
      return set_items(pop_many(2)), true;
    case 'u':
      return set_items(pop_to_mark()), true;
    case 0x8f:
      return push(Kind::kSet), true;
    case 0x90:
      return append(pop_to_mark()), true;
    case 0x91:
      return push_items(Kind::kSet, pop_to_mark()), true;
    default:
      return false;
  }
}

bool PickleReader::step_memo(unsigned char opcode) {
  switch (opcode) {
    case 'q':
      return memoize(number(1)), true;
    case 'r':
      return memoize(number(4)), true;
    case 0x94:
      return memoize(memo_.size()), true;
    case 'h':
      return recall(number(1)), true;
    case 'j':
      return recall(number(4)), true;
    default:
      return false;
  }
}

bool PickleReader::step_object(unsigned char opcode) {
  switch (opcode) {
    case 'c': {
      const std::string_view module = line();
      return push_global(module, line()), true;
    }
    case 0x93: {
      const std::vector<PickleValue*> names = pop_many(2);
      if (!names[0]->is(Kind::kText) || !names[1]->is(Kind::kText)) reject("a class's name is no text");
      return push_global(names[0]->text, names[1]->text), true;
    }
    case 'Q':
      return load_storage(), true;
    case 'R':
      return reduce(), true;
    case 0x81:
      return new_object(), true;
    case 'b':
      return build(), true;
    default:
      return false;
  }
}

void PickleReader::push_long(std::uint64_t length) {
  const std::string_view digits = take(length);
  if (digits.size() > 8) reject("an integer has more than 64 bits");
  std::uint64_t value = !digits.empty() && digits.back() < 0 ? ~std::uint64_t{0} : 0;
  std::memcpy(&value, digits.data(), digits.size());
  push_integer(static_cast<std::int64_t>(value));
}

void PickleReader::push_real() {
  push(Kind::kFloat).real = std::bit_cast<double>(__builtin_bswap64(number(8)));
}

void PickleReader::append(std::vector<PickleValue*> items) {
  PickleValue* target = top();
  if (!target->is(Kind::kList) && !target->is(Kind::kSet)) reject("it appends to something that is no list");
  target->items.insert(target->items.end(), items.begin(), items.end());
}

void PickleReader::set_items(std::vector<PickleValue*> items) {
  PickleValue* target = top();
  if (!target->is(Kind::kDict) && !target->is(Kind::kOrderedDict))
    reject("it sets an item of something that is no dict");
  if (items.size() % 2 != 0) reject("a dict has a key without a value");
  target->items.insert(target->items.end(), items.begin(), items.end());
}

void PickleReader::recall(std::uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) reject("it recalls value " + std::to_string(key) + ", which it has not stored");
  stack_.push_back(found->second);
}

void PickleReader::push_global(std::string_view module, std::string_view name) {
  std::string full = std::string(module) + " " + std::string(name);
  if (!is_accepted_global(full)) {
    std::replace(full.begin(), full.end(), ' ', '.');
    reject("it names " + full.substr(0, 200) +
           ", which is not among what is read from a checkpoint (tensors, "
           "containers, numbers, text, argparse.Namespace); nothing of it was run");
  }
  push(Kind::kGlobal).text = std::move(full);
}

// ("storage", its type, key, device, items): the only thing that lies outside the pickle.
void PickleReader::load_storage() {
  const PickleValue* id = pop();
  const bool fits = id->is(Kind::kTuple) && id->items.size() == 5 && id->items[0]->text == "storage" &&
                    id->items[1]->is(Kind::kGlobal) && id->items[2]->is(Kind::kText) &&
                    id->items[4]->is(Kind::kInt);
  const char* dtype = fits ? dtype_of_storage(id->items[1]->text) : nullptr;
  if (dtype == nullptr || id->items[4]->integer < 0)
    reject("it refers to something outside that is no storage");
  charge(id->items[2]->text.size());
  PickleValue& storage = push(Kind::kStorage);
  storage.tensor = std::make_unique<PickledTensor>();
  storage.tensor->storage = id->items[2]->text;
  storage.tensor->dtype = dtype;
  storage.tensor->storage_items = id->items[4]->integer;
}

void PickleReader::reduce() {
  const PickleValue* arguments = pop();
  const PickleValue* function = pop();
  if (!function->is(Kind::kGlobal) || !arguments->is(Kind::kTuple))
    reject("it calls something that has no name");
  stack_.push_back(call(function->text, arguments->items));
}

PickleValue* PickleReader::call(const std::string& function, const std::vector<PickleValue*>& arguments) {
  if (function == "torch._utils _rebuild_tensor_v2") return rebuild_tensor(arguments);
  if (function == "torch._utils _rebuild_parameter") {
    if (arguments.empty() || !arguments[0]->is(Kind::kTensor)) reject("a parameter holds no tensor");
    return arguments[0];
  }
  if (function == "collections OrderedDict") return ordered_dict(arguments);
  if (function == "collections defaultdict") return &make(Kind::kDict);  // its factory is never called
  if (function == "torch Size" || is_set_type(function)) {
    PickleValue& result = make(is_set_type(function) ? Kind::kSet : Kind::kTuple);
    if (arguments.size() == 1) {
      charge(arguments[0]->items.size());
      result.items = arguments[0]->items;
    }
    return &result;
  }
  if (function == "argparse Namespace" && arguments.empty()) return &make(Kind::kNamespace);
  if (is_path_type(function)) return path(arguments);
  if (function == "_codecs encode" && arguments.size() == 2 && arguments[1]->text == "latin1") {
    PickleValue& result = make(Kind::kBytes);
    charge(arguments[0]->text.size());
    if (!latin1_bytes(arguments[0]->text, result.text)) reject("its bytes are no Latin-1 text");
    return &result;
  }
  reject("it calls " + function + " in a way that is not accepted");
}

PickleValue* PickleReader::ordered_dict(const std::vector<PickleValue*>& arguments) {
  PickleValue& dict = make(Kind::kOrderedDict);
  if (arguments.empty()) return &dict;
  for (const PickleValue* pair : arguments[0]->items) {
    charge(2);
    if (pair->items.size() != 2 || pair->is_dict()) reject("an OrderedDict is not made of pairs");
    dict.items.insert(dict.items.end(), pair->items.begin(), pair->items.end());
  }
  return &dict;
}

PickleValue* PickleReader::path(const std::vector<PickleValue*>& arguments) {
  PickleValue& path = make(Kind::kText);
  for (const PickleValue* part : arguments) {
    if (!part->is(Kind::kText)) reject("a path is not made of text");
    charge(part->text.size());
    if (!path.text.empty() && path.text.back() != '/') path.text += '/';
    path.text += part->text;
  }
  return &path;
}

std::vector<std::int64_t> PickleReader::integers(const PickleValue& tuple, const char* what) {
  std::vector<std::int64_t> values;
  if (!tuple.is(Kind::kTuple) || tuple.items.size() > 64)
    reject(std::string("a tensor's ") + what + " is no tuple");
  for (const PickleValue* item : tuple.items) {
    if (!item->is(Kind::kInt) || item->integer < 0)
      reject(std::string("a tensor's ") + what + " holds something else than integers of at least 0");
    values.push_back(item->integer);
  }
  return values;
}

// (storage, offset, size, stride, requires_grad, hooks, …)
PickleValue* PickleReader::rebuild_tensor(const std::vector<PickleValue*>& arguments) {
  if (arguments.size() < 6 || !arguments[0]->is(Kind::kStorage) || !arguments[1]->is(Kind::kInt))
    reject("a tensor lacks its storage, offset, size or stride");
  if (!arguments[5]->items.empty()) reject("a tensor has backward hooks, which are code");
  charge(arguments[0]->tensor->storage.size());
  PickledTensor view = *arguments[0]->tensor;
  view.offset = arguments[1]->integer;
  view.shape = integers(*arguments[2], "size");
  view.strides = integers(*arguments[3], "stride");
  if (view.shape.size() != view.strides.size())
    reject("a tensor has " + std::to_string(view.shape.size()) + " sizes and " +
           std::to_string(view.strides.size()) + " strides");
  if (!fits_storage(view)) reject("a tensor reaches beyond its storage " + view.storage);
  PickleValue& value = make(Kind::kTensor);
  value.tensor = std::make_unique<PickledTensor>(std::move(view));
  return &value;
}

void PickleReader::new_object() {
  const PickleValue* arguments = pop();
  const PickleValue* type = pop();
  if (!type->is(Kind::kGlobal) || !arguments->is(Kind::kTuple)) reject("it makes an object of no class");
  if (type->text != "argparse Namespace" && type->text != "collections OrderedDict" &&
      !is_set_type(type->text))
    reject("it makes an object of " + type->text + " in a way that is not accepted");
  stack_.push_back(call(type->text, arguments->items));
}

// Attributes: a Namespace's are its content; those of other kinds (a state dict's version notes) are left
// out.
void PickleReader::build() {
  const PickleValue* state = pop();
  PickleValue* target = top();
  if (target->is(Kind::kOrderedDict)) return;
  if (!target->is(Kind::kNamespace) || !state->is(Kind::kDict))
    reject("it sets attributes of something that has none");
  charge(state->items.size());
  target->items.insert(target->items.end(), state->items.begin(), state->items.end());
}

PickleTree read_pickle(std::span<const std::byte> bytes, const std::string& source) {
  PickleTree tree = PickleReader(bytes, source).run();
  check_finished(*tree.root, source);
  return tree;
}

}  // namespace mdgen::format
