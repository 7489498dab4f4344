#include "core/comm/nccl/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>

#include "core/base/error.h"
#include "core/comm/nccl/nccl_collective.h"
#include "core/comm/plugins.h"

namespace mdgen::comm {
namespace {

namespace fs = std::filesystem;
using MakeApi = void (*)(int device, std::unique_ptr<NcclApi>* api);

fs::path library_folder_of_torch() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  return fs::path(info.dli_fname).parent_path();
}

[[noreturn]] void missing(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kFailedPrecondition, what + "; " + hint);
}

}  // namespace

void load_cuda() {
  static std::mutex mutex;
  static bool loaded = false;
  const std::lock_guard lock(mutex);
  if (loaded) return;
  const fs::path file = library_folder_of_torch() / "libtorch_cuda.so";
  if (::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    missing(std::string("cannot load LibTorch's CUDA part: ") + ::dlerror(), "run deploy/bootstrap --cuda");
  }
  if (torch::cuda::device_count() == 0) {
    missing("LibTorch finds no CUDA device",
            "check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES, or run with device cpu");
  }
  loaded = true;
}

std::unique_ptr<Collective> make_nccl(const CollectiveOptions& options, const Exchange& exchange) {
  load_cuda();
  const int device = options.device.has_index() ? options.device.index() : 0;
  static const auto make_api = reinterpret_cast<MakeApi>(
      plugin_symbol("libmdgen_nccl.so", "mdgen_make_nccl_api", "run deploy/bootstrap --cuda"));
  std::unique_ptr<NcclApi> api;
  make_api(device, &api);
  return make_nccl_collective(std::move(api), options, exchange);
}

}  // namespace mdgen::comm
