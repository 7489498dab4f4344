// The pickle machine. Internal to core/format.
#pragma once

#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/pickle.h"

namespace mdgen::format {

// A stack of values, marks in it, and a memo.
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
  PickleValue& make(PickleValue::Kind kind) {
    if (tree_.size() >= kMaxPickleValues) reject("more than " + std::to_string(kMaxPickleValues) + " values");
    return tree_.make(kind);
  }
  PickleValue& push(PickleValue::Kind kind) {
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

  void push_integer(std::int64_t value) { push(PickleValue::Kind::kInt).integer = value; }
  void push_text(std::uint64_t length) { push(PickleValue::Kind::kText).text = take(length); }
  void push_bytes(std::uint64_t length) { push(PickleValue::Kind::kBytes).text = take(length); }
  void push_items(PickleValue::Kind kind, std::vector<PickleValue*> items) {
    push(kind).items = std::move(items);
  }
  void push_dict(std::vector<PickleValue*> items) {
    if (items.size() % 2 != 0) reject("a dict has a key without a value");
    push_items(PickleValue::Kind::kDict, std::move(items));
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

}  // namespace mdgen::format
