// How a process that no MPI launcher started finds the others of its group: OpenMPI asks a PMIx server, which
// is a helper process here (mdgen-mpi-host), one for each rank. What the servers must know of each other goes
// through Exchange. So MPI runs wherever a group forms, as often as new processes form one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::comm {

// The group that an MPI launcher has started this process in.
struct MpirunPlace {
  std::string name;  // of the launched job
  int rank = 0;
  int world_size = 0;
};
// From OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE and PMIX_NAMESPACE; nothing when one is missing.
std::optional<MpirunPlace> mpirun_place();

// What each rank tells the others before MPI starts.
struct MpiState {
  std::string world;     // that MPI runs in here already; "" before it was started
  int rank = -1;         // in it
  std::string mpirun;    // the job in which mpirun has started exactly this rank of this group; "" otherwise
  std::string new_name;  // for a world that would begin with this rank as the first
};
std::string to_text(const MpiState& state);
MpiState mpi_state_from(const std::string& text);  // throws Error(kInternal)

struct MpiStart {
  enum class How { kRunsAlready, kByMpirun, kByHosts };
  How how = How::kByHosts;
  std::string world;
};
// The same on every rank. Throws Error(kFailedPrecondition) when MPI runs in some of the processes, but not
// in all of them as one world in this order: it cannot be started again there.
MpiStart decide_start(const std::vector<MpiState>& by_rank);

// The helper process. It ends with the object, or with this process.
class MpiHost {
 public:
  // Starts it for rank `rank` of the group `name`. Throws Error(kFailedPrecondition) when it cannot be found
  // or does not begin.
  MpiHost(const std::string& name, int rank, int world_size);
  ~MpiHost();
  MpiHost(const MpiHost&) = delete;
  MpiHost& operator=(const MpiHost&) = delete;

  // Sets the environment that MPI_Init needs; ranks talk over `bind_address`.
  void set_environment(const std::string& bind_address) const;
  // Passes on what the servers tell each other until `is_done`. Throws what `exchange` throws, and
  // Error(kUnavailable) when the helper ends or forming_timeout has passed, Error(kAborted) when cancelled.
  void serve(const Exchange& exchange, const std::function<bool()>& is_done,
             const CollectiveOptions& options);

 private:
  std::optional<std::string> read_frame();

  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  int round_ = 0;
  std::string environment_;  // NAME=VALUE, each ended by a zero byte
};

}  // namespace mdgen::comm
