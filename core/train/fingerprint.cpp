#include "core/train/fingerprint.h"

#include <ATen/Version.h>
#include <dlfcn.h>

#include <array>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "core/kernels/cpu/dispatch.h"
#include "core/train/agreement.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// By the driver's own library, which LibTorch's CUDA part has loaded.
std::string gpu_model(int ordinal) {
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return "unknown";
  using Get = int (*)(int*, int);
  using GetName = int (*)(char*, int, int);
  const auto get = reinterpret_cast<Get>(::dlsym(driver, "cuDeviceGet"));
  const auto get_name = reinterpret_cast<GetName>(::dlsym(driver, "cuDeviceGetName"));
  int handle = 0;
  std::array<char, 256> name{};
  const bool known = get != nullptr && get_name != nullptr && get(&handle, ordinal) == 0 &&
                     get_name(name.data(), static_cast<int>(name.size()), handle) == 0;
  return known ? name.data() : "unknown";
}

std::string rank_names(const std::vector<std::string>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + join(ranks, ", ");
}

}  // namespace

Fingerprint fingerprint(at::Device device) {
  Fingerprint result = {{"CPU", cpu_model()},
                        {"instructions", at::get_cpu_capability()},
                        {"kernels", kernels::cpu::name(kernels::cpu::instruction_set())},
                        {"threads", std::to_string(at::get_num_threads())},
                        {"LibTorch", TORCH_VERSION},
                        {"MKL", at::get_mkl_version()},
                        {"oneDNN", at::get_mkldnn_version()}};
  if (device.is_cuda()) {
    result.emplace_back("GPU", gpu_model(device.has_index() ? device.index() : 0));
    result.emplace_back("CUDA", at::detail::getCUDAHooks().showConfig());
  }
  return result;
}

std::optional<std::string> fingerprint_difference(const std::vector<Fingerprint>& by_rank) {
  std::vector<std::string> names;  // in the order of appearance
  std::map<std::string, std::map<std::string, std::vector<std::string>>> ranks_by_value;
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    for (const auto& [name, value] : by_rank[rank]) {
      if (!ranks_by_value.contains(name)) names.push_back(name);
      ranks_by_value[name][value].push_back(std::to_string(rank));
    }
  }
  std::vector<std::string> differences;
  for (const std::string& name : names) {
    std::size_t told = 0;
    std::vector<std::string> groups;
    for (const auto& [value, ranks] : ranks_by_value[name]) {
      groups.push_back(value + " on " + rank_names(ranks));
      told += ranks.size();
    }
    if (told < by_rank.size()) groups.push_back("none on the others");
    if (groups.size() > 1) differences.push_back(name + ": " + join(groups, "; "));
  }
  if (differences.empty()) return std::nullopt;
  return join(differences, ". ");
}

void require_equal_fingerprints(comm::Collective& collective, at::Device device, const Fingerprint& mine) {
  using nlohmann::json;
  std::vector<Fingerprint> by_rank;
  const std::string own = json(mine).dump(-1, ' ', false, json::error_handler_t::replace);
  for (const std::string& text : gather_texts(collective, device, own)) {
    by_rank.push_back(json::parse(text).get<Fingerprint>());
  }
  if (const auto difference = fingerprint_difference(by_rank)) {
    throw RunFailure(
        ErrorCode::kFailedPrecondition, "MixedHardware",
        "determinism = strict needs ranks that compute the same bits, but they differ. " + *difference);
  }
}

}  // namespace mdgen::train
