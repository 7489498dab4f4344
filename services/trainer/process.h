// The trainer's life as a process: it obeys its agent alone and never outlives it.
#pragma once

#include <sys/types.h>

namespace mdgen::trainer {

// First thing in main: SIGPIPE, TERM, INT, HUP, USR1 and USR2 are ignored (mpirun and Slurm send them to
// whole groups; the agent decides).
void ignore_signals();

// From here on the kernel kills this process when the thread that started it ends. Throws Error(kUnavailable)
// when `agent` has already gone.
void tie_to_agent(pid_t agent);

// Ends the process at once: no destructors, no static objects of LibTorch and gRPC to fall over each other.
[[noreturn]] void leave(int status);

}  // namespace mdgen::trainer
