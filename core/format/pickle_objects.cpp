#include <algorithm>

#include "core/format/pickle_machine.h"
#include "core/format/pickle_names.h"

namespace mdgen::format {

using Kind = PickleValue::Kind;

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

}  // namespace mdgen::format
