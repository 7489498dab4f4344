// Who am I, and how many are we: what mpirun, srun, torchrun or nobody says in the environment.
#pragma once

#include <map>
#include <string>

namespace mdgen::launcher {

using Environment = std::map<std::string, std::string>;

Environment current_environment();

enum class Launcher {
  kNone,     // started by hand: one process
  kTorch,    // RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
  kOpenMpi,  // OMPI_COMM_WORLD_{RANK,SIZE,LOCAL_RANK,LOCAL_SIZE}
  kPmi,      // PMI_{RANK,SIZE} with MPI_LOCALRANKID, MPI_LOCALNRANKS (MPICH, Intel MPI, Cray)
  kSlurm,    // SLURM_{PROCID,STEP_NUM_TASKS,LOCALID,STEP_TASKS_PER_NODE,NODEID} of an srun step
};

const char* launcher_name(Launcher launcher);  // "mpirun", "srun", …

struct Place {
  Launcher launcher = Launcher::kNone;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  // Names this launch: job, step and restart count. Empty: the launcher does not say.
  std::string launch_id;
  // torchrun started this process, and another launcher started torchrun: what that one says (PMIx's rank) is
  // true of torchrun.
  bool nested = false;
};

// The first of these sets that counts, in this order. A torch set counts only when it is complete; an OMPI
// set hides PMI and SLURM (mpirun inside sbatch gives every rank SLURM_PROCID=0), PMI hides SLURM; SLURM
// counts only inside a step (a batch script by itself is one process).
//
// Throws Error(kInvalidArgument) that names the variables: a partial OMPI, PMI or SLURM set, a value that is
// not a number or out of range, a complete torch set that contradicts the launcher's. It does not when the
// launcher's rank and size are torchrun's own GROUP_RANK and GROUP_WORLD_SIZE: srun with one torchrun a node.
Place find_place(const Environment& environment);

}  // namespace mdgen::launcher
