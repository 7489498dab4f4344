// For test_torch_file.py: `dump FILE` prints what a file of torch.save holds as JSON; `copy FILE OUT` reads
// it and writes it anew. Errors go to standard error, with status 1.
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/format/torch_file.h"

namespace {

using Json = nlohmann::ordered_json;
using mdgen::format::PickleValue;
using mdgen::format::TorchFile;
using Kind = PickleValue::Kind;

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kSet:
      return "set";
    case Kind::kDict:
      return "dict";
    case Kind::kOrderedDict:
      return "OrderedDict";
    case Kind::kNamespace:
      return "Namespace";
    default:
      return "?";
  }
}

Json to_json(const PickleValue& value, TorchFile& file) {
  switch (value.kind()) {
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.integer != 0;
    case Kind::kInt:
      return value.integer;
    case Kind::kFloat:
      return value.real;
    case Kind::kText:
      return mdgen::to_utf8(value.text);
    case Kind::kBytes:
      return {{"bytes", mdgen::sha256_hex(value.text)}};
    case Kind::kTensor: {
      const auto bytes = file.bytes(*value.tensor);
      return {{"dtype", value.tensor->dtype},
              {"shape", value.tensor->shape},
              {"sha256", mdgen::sha256_hex({reinterpret_cast<const char*>(bytes->data()), bytes->size()})}};
    }
    default:
      break;
  }
  Json items = Json::array();
  for (const PickleValue* item : value.items) items.push_back(to_json(*item, file));
  return {{name_of(value.kind()), items}};
}

// Gives every tensor a storage of its own, contiguous.
void rename_storages(PickleValue& value, TorchFile& file,
                     std::vector<std::shared_ptr<const std::vector<std::byte>>>& storages) {
  for (PickleValue* item : value.items) rename_storages(*item, file, storages);
  if (!value.is(Kind::kTensor)) return;
  mdgen::format::PickledTensor& tensor = *value.tensor;
  storages.push_back(file.bytes(tensor));
  tensor.storage = std::to_string(storages.size() - 1);
  tensor.offset = 0;
  tensor.storage_items = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    tensor.strides[i] = tensor.storage_items;
    tensor.storage_items *= tensor.shape[i];
  }
}

void copy(const std::string& in, const std::string& out) {
  TorchFile file(in);
  std::vector<std::shared_ptr<const std::vector<std::byte>>> bytes;
  rename_storages(const_cast<PickleValue&>(file.root()), file, bytes);
  std::vector<mdgen::format::TorchStorage> storages;
  for (std::size_t i = 0; i < bytes.size(); ++i) storages.push_back({std::to_string(i), *bytes[i]});
  mdgen::format::write_torch_file(out, file.root(), storages);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string verb = argc > 2 ? argv[1] : "";
    if (verb == "copy" && argc == 4) {
      copy(argv[2], argv[3]);
    } else if (verb == "dump" && argc == 3) {
      TorchFile file(argv[2]);
      std::cout << to_json(file.root(), file).dump() << '\n';
    } else {
      return 2;
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
