// Collectives between processes through MPI (backend: mpi).
//
// MPI can neither break a blocked operation nor be started twice in a process: after an abort, or for another
// group of processes, a new process is needed (supports_abort() is false). One thread of the process makes
// all calls of MPI, in order; waiting for it ends with abort() or the timeout, the thread may then stay
// blocked for good.
#pragma once

#include <memory>

#include "core/comm/collective.h"
#include "core/comm/mpi/mpi_api.h"

namespace mdgen::comm {

// MPI in this process. Thread-safe.
class MpiProcess {
 public:
  // `api` is called by a thread of its own, which outlives the object while it is blocked.
  explicit MpiProcess(std::shared_ptr<MpiApi> api);
  ~MpiProcess();
  MpiProcess(const MpiProcess&) = delete;
  MpiProcess& operator=(const MpiProcess&) = delete;

  // Of the processes of `exchange`, in options' order. The first call starts MPI: as mpirun prepared it when
  // it has started exactly these processes, otherwise with a rendezvous of our own (mpi/launch.h). Throws
  // Error(kFailedPrecondition) when MPI runs here already, among other processes.
  std::unique_ptr<Collective> make_group(const CollectiveOptions& options, const Exchange& exchange);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Over the MPI of this process, by the plug-in libmdgen_mpi.so (found as NCCL's). Element types: float32,
// float64, float16, bfloat16, int8, int32, int64, uint8; bool in broadcast and gathers. Throws
// Error(kFailedPrecondition) naming what is missing.
std::unique_ptr<Collective> make_mpi(const CollectiveOptions& options, const Exchange& exchange);

}  // namespace mdgen::comm
