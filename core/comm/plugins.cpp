#include "core/comm/plugins.h"

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

#include "core/base/error.h"

namespace mdgen::comm {

namespace fs = std::filesystem;

fs::path find_companion(const std::string& name) {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("MDGEN_PLUGIN_DIR")) folders.emplace_back(folder);
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* relative : {".", "../lib", "../lib/mdgen", "../bin"})
    folders.push_back(program / relative);
  std::string looked;
  for (const fs::path& folder : folders) {
    const fs::path file = (folder / name).lexically_normal();
    if (fs::exists(file)) return file;
    looked += " " + file.string();
  }
  throw Error(ErrorCode::kFailedPrecondition,
              "cannot find " + name + " (looked for" + looked + "); set MDGEN_PLUGIN_DIR to its folder");
}

// RTLD_GLOBAL: MPI loads its own components, which look for its symbols among the global ones.
void* plugin_symbol(const std::string& file_name, const char* symbol, const std::string& hint) {
  const fs::path file = find_companion(file_name);
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw Error(ErrorCode::kFailedPrecondition,
                "cannot load " + file_name + ": " + ::dlerror() + "; " + hint);
  }
  void* address = ::dlsym(library, symbol);
  if (address == nullptr) {
    throw Error(ErrorCode::kFailedPrecondition,
                file.string() + " is no plug-in of this version: " + ::dlerror() + "; build it again");
  }
  return address;
}

}  // namespace mdgen::comm
