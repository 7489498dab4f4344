#include "core/format/torch_file.h"

#include <cstring>

#include "core/base/error.h"
#include "core/format/safetensors.h"

namespace mdgen::format {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void reject(const fs::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": " + reason);
}

// The folder that everything lies in: torch.save names it after the file, or "archive".
std::string folder_of(const ZipReader& zip) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const std::string& name : zip.names()) {
    if (name.ends_with("/data.pkl") && name.find('/') == name.size() - kPickle.size() - 1)
      return name.substr(0, name.size() - kPickle.size());
  }
  reject(zip.path(), "no file of torch.save: it has no data.pkl");
}

bool is_contiguous(const PickledTensor& tensor) {
  std::int64_t stride = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

std::size_t item_count(const PickledTensor& tensor) {
  std::size_t count = 1;
  for (const std::int64_t size : tensor.shape) count *= static_cast<std::size_t>(size);
  return count;
}

// The view's items in C order.
std::vector<std::byte> gather(const PickledTensor& tensor, const std::vector<std::byte>& storage,
                              std::size_t item) {
  std::vector<std::byte> result(item_count(tensor) * item);
  const auto* base = storage.data() + static_cast<std::size_t>(tensor.offset) * item;
  if (is_contiguous(tensor)) {
    if (!result.empty()) std::memcpy(result.data(), base, result.size());
    return result;
  }
  std::vector<std::int64_t> index(tensor.shape.size(), 0);
  for (std::size_t out = 0; out < result.size(); out += item) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * tensor.strides[i];
    std::memcpy(result.data() + out, base + static_cast<std::size_t>(at) * item, item);
    for (std::size_t i = index.size(); i-- > 0 && ++index[i] == tensor.shape[i];) index[i] = 0;
  }
  return result;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TorchFile::TorchFile(const fs::path& file) : zip_(file), folder_(folder_of(zip_)) {
  if (zip_.contains(member("constants.pkl"))) reject(file, "this is TorchScript, no checkpoint");
  if (zip_.contains(member("byteorder")) && zip_.size(member("byteorder")) <= 8) {
    if (const std::string order = text_of(zip_.read(member("byteorder"))); order != "little")
      reject(file, "its byte order is " + order + "; only little is read");
  }
  const std::string pickle = member("data.pkl");
  if (zip_.size(pickle) > kMaxPickleBytes)
    reject(file, pickle + " has " + std::to_string(zip_.size(pickle)) + " bytes; at most " +
                     std::to_string(kMaxPickleBytes) + " are read");
  tree_ = read_pickle(zip_.read(pickle), file.string() + ": " + pickle);
}

std::shared_ptr<const std::vector<std::byte>> TorchFile::bytes(const PickledTensor& tensor) {
  const std::size_t item = dtype_size(tensor.dtype);
  auto& storage = storages_[tensor.storage];
  if (!storage) {
    const std::string name = member("data/" + tensor.storage);
    storage = std::make_shared<const std::vector<std::byte>>(zip_.read(name));
  }
  const auto items = static_cast<std::uint64_t>(tensor.storage_items);
  if (storage->size() % item != 0 || storage->size() / item != items)
    reject(zip_.path(), member("data/" + tensor.storage) + " has " + std::to_string(storage->size()) +
                            " bytes, not those of " + std::to_string(items) + " items of " + tensor.dtype);
  if (tensor.offset == 0 && is_contiguous(tensor) && item_count(tensor) == items) return storage;
  copied_ += item_count(tensor) * item;
  if (copied_ > zip_.file_size())
    reject(zip_.path(), "its tensors overlap so much that they outgrow the file");
  return std::make_shared<const std::vector<std::byte>>(gather(tensor, *storage, item));
}

void write_torch_file(const fs::path& file, const PickleValue& root, std::span<const TorchStorage> storages) {
  const std::string pickle = write_pickle(root);
  std::vector<ZipMember> members{{"archive/data.pkl", bytes_of(pickle)},
                                 {"archive/byteorder", bytes_of("little")}};
  for (const TorchStorage& storage : storages)
    members.push_back({"archive/data/" + storage.key, storage.data});
  members.push_back({"archive/version", bytes_of("3\n")});
  write_zip(file, members);
}

}  // namespace mdgen::format
