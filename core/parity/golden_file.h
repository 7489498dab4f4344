// One file of reference tensors (layout: docs/parity.md): a safetensors file whose metadata names the case
// and the reference's flags.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mdgen::parity {

class GoldenFile {
 public:
  // Reads everything. Throws Error naming the file.
  explicit GoldenFile(const std::filesystem::path& file);

  const std::string& name() const { return name_; }  // the file's, without extension
  const std::vector<std::string>& flags() const { return flags_; }
  const std::map<std::string, at::Tensor>& tensors() const { return tensors_; }

  bool has(const std::string& tensor) const { return tensors_.contains(tensor); }
  bool has_any(const std::string& prefix) const;
  // Throws Error(kDataLoss) naming file and tensor when it is not there.
  const at::Tensor& at(const std::string& tensor) const;
  // All tensors whose names start with `prefix`, under the rest of their names.
  std::map<std::string, at::Tensor> under(const std::string& prefix) const;

 private:
  std::string name_;
  std::vector<std::string> flags_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace mdgen::parity
