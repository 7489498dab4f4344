// A whole run in one command: rank 0 leads with a coordinator of its own, the others bring one agent each.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "launcher/command.h"
#include "launcher/environment.h"
#include "launcher/wireup.h"

namespace mdgen::launcher {

// How often the run was asked to end; signal handlers write it.
struct Interrupts {
  std::atomic<int> stop{0};     // SIGINT, SIGTERM, SIGHUP: 1 checkpoint first, 2 at once
  std::atomic<int> requeue{0};  // SIGUSR1; SIGTERM in a Slurm job: checkpoint, then exit status 75
};

struct Programs {
  std::filesystem::path worker;   // mdgen-worker
  std::filesystem::path trainer;  // empty: mdgen-worker's own choice
  std::string device = "cpu";
};

// Rank 0. Prints progress and the outcome on standard output. Returns the exit status: 0 SUCCEEDED, 1 FAILED
// (or an agent was lost), 2 the spec was refused, 3 CANCELLED, 75 stopped to come again.
int lead(const config::Resolved& resolved, const Place& place, const Slots& slots, const Programs& programs,
         Wireup* wireup, const Interrupts& interrupts);

// Rank 0, when its spec is refused before there is a run: the other ranks leave with 2 as well. Not all
// launchers end them by themselves (srun does not).
void share_refusal(Wireup& wireup);

// Any other rank. 0 after the run's end, whatever its outcome; 1 when the agent failed; 2 when rank 0 has
// refused the spec.
int follow(const Place& place, const Programs& programs, Wireup& wireup, const Interrupts& interrupts);

}  // namespace mdgen::launcher
