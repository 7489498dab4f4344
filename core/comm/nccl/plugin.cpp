#include "core/comm/nccl/plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "core/base/error.h"
#include "core/comm/nccl/nccl_collective.h"

namespace mdgen::comm {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPlugin = "libmdgen_nccl.so";
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

fs::path find_plugin() {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("MDGEN_PLUGIN_DIR")) folders.emplace_back(folder);
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* relative : {".", "../lib", "../lib/mdgen"}) folders.push_back(program / relative);
  std::string looked;
  for (const fs::path& folder : folders) {
    const fs::path file = (folder / kPlugin).lexically_normal();
    if (fs::exists(file)) return file;
    looked += " " + file.string();
  }
  missing(std::string("cannot find ") + kPlugin + " (looked for" + looked + ")",
          "set MDGEN_PLUGIN_DIR to its folder");
}

MakeApi load_plugin() {
  static std::mutex mutex;
  static MakeApi make_api = nullptr;
  const std::lock_guard lock(mutex);
  if (make_api != nullptr) return make_api;
  const fs::path file = find_plugin();
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    missing(std::string("cannot load the NCCL plug-in: ") + ::dlerror(), "run deploy/bootstrap --cuda");
  }
  make_api = reinterpret_cast<MakeApi>(::dlsym(library, "mdgen_make_nccl_api"));
  if (make_api == nullptr) missing(file.string() + " is no NCCL plug-in: " + ::dlerror(), "build it again");
  return make_api;
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
  std::unique_ptr<NcclApi> api;
  load_plugin()(device, &api);
  return make_nccl_collective(std::move(api), options, exchange);
}

}  // namespace mdgen::comm
