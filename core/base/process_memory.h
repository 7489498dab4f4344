// What this process does with memory, and how much of it it has had.
#pragma once

#include <cstdint>

namespace mdgen {

// Freed memory is kept for the next allocation and never given back to the system: a training step frees and
// takes the same large tensors again and again, and glibc's returning them to the kernel costs element-wise
// work on the CPU a factor of 2 to 5. Call it before the first large allocation.
void keep_freed_memory();

// The most that was ever resident (VmHWM); 0 where the system does not say.
std::int64_t peak_memory_bytes();

}  // namespace mdgen
