// What torch.save writes: a zip archive of data.pkl and one member a storage. No LibTorch, no Python.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/format/pickle.h"
#include "core/format/zip.h"

namespace mdgen::format {

// Not thread-safe. Throws Error(kDataLoss) naming the file: see ZipReader and read_pickle; a byte order that
// is not little; the format of before PyTorch 1.6; TorchScript.
class TorchFile {
 public:
  explicit TorchFile(const std::filesystem::path& file);

  const PickleValue& root() const { return *tree_.root; }
  // The tensor's items in C order. One of the whole storage shares memory with its like; the copies that
  // other views need may not exceed the file's size in sum, so that a small file cannot ask for much memory.
  std::shared_ptr<const std::vector<std::byte>> bytes(const PickledTensor& tensor);

 private:
  std::string member(const std::string& name) const { return folder_ + name; }

  ZipReader zip_;
  std::string folder_;  // "archive/"
  PickleTree tree_;
  std::map<std::string, std::shared_ptr<const std::vector<std::byte>>> storages_;
  std::size_t copied_ = 0;
};

// A storage of a file to write: the member data/<key>.
struct TorchStorage {
  std::string key;
  std::span<const std::byte> data;  // must outlive the call
};

// Writes a file that torch.load opens; replaces an older one of this name whole.
void write_torch_file(const std::filesystem::path& file, const PickleValue& root,
                      std::span<const TorchStorage> storages);

}  // namespace mdgen::format
