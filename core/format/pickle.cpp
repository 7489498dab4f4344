#include "core/format/pickle.h"

namespace mdgen::format {

using Kind = PickleValue::Kind;

const PickleValue* PickleValue::find(std::string_view key) const {
  if (!is_dict()) return nullptr;
  for (std::size_t i = items.size(); i >= 2; i -= 2) {
    const PickleValue& candidate = *items[i - 2];
    if (candidate.is(Kind::kText) && candidate.text == key) return items[i - 1];
  }
  return nullptr;
}

const PickleValue* PickleValue::find(std::int64_t key) const {
  if (!is_dict()) return nullptr;
  for (std::size_t i = items.size(); i >= 2; i -= 2) {
    const PickleValue& candidate = *items[i - 2];
    if (candidate.is(Kind::kInt) && candidate.integer == key) return items[i - 1];
  }
  return nullptr;
}

PickleValue& PickleTree::boolean(bool value) {
  PickleValue& made = make(Kind::kBool);
  made.integer = value ? 1 : 0;
  return made;
}

PickleValue& PickleTree::integer(std::int64_t value) {
  PickleValue& made = make(Kind::kInt);
  made.integer = value;
  return made;
}

PickleValue& PickleTree::real(double value) {
  PickleValue& made = make(Kind::kFloat);
  made.real = value;
  return made;
}

PickleValue& PickleTree::text(std::string_view value) {
  PickleValue& made = make(Kind::kText);
  made.text = value;
  return made;
}

PickleValue& PickleTree::tensor(PickledTensor value) {
  PickleValue& made = make(Kind::kTensor);
  made.tensor = std::make_unique<PickledTensor>(std::move(value));
  return made;
}

PickleValue& PickleTree::sequence(Kind kind, std::vector<PickleValue*> items) {
  PickleValue& made = make(kind);
  made.items = std::move(items);
  return made;
}

void PickleTree::put(PickleValue& dict, std::string_view key, PickleValue& value) {
  dict.items.push_back(&text(key));
  dict.items.push_back(&value);
}

void PickleTree::put(PickleValue& dict, std::int64_t key, PickleValue& value) {
  dict.items.push_back(&integer(key));
  dict.items.push_back(&value);
}

}  // namespace mdgen::format
