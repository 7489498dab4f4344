#include <bit>
#include <cstring>

#include "core/format/pickle_machine.h"
#include "core/format/pickle_names.h"

namespace mdgen::format {

using Kind = PickleValue::Kind;

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

PickleTree read_pickle(std::span<const std::byte> bytes, const std::string& source) {
  PickleTree tree = PickleReader(bytes, source).run();
  check_finished(*tree.root, source);
  return tree;
}

}  // namespace mdgen::format
