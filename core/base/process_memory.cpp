#include "core/base/process_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace mdgen {

void keep_freed_memory() {
  ::mallopt(M_MMAP_MAX, 0);
  ::mallopt(M_TRIM_THRESHOLD, -1);
  ::mallopt(M_TOP_PAD, 512 << 20);
}

std::int64_t peak_memory_bytes() {
  const std::string field = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stoll(line.substr(field.size())) * 1024;
  }
  return 0;
}

}  // namespace mdgen
