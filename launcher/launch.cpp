#include "launcher/launch.h"

#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>
#include <filesystem>

#include "core/base/error.h"
#include "launcher/binding.h"
#include "launcher/command.h"
#include "launcher/environment.h"
#include "launcher/wireup.h"

namespace mdgen::launcher {

int report(const Error& error) {
  std::fprintf(stderr, "mdgen-launch: %s\n", error.what());
  const bool usage = error.code() == ErrorCode::kInvalidArgument ||
                     error.code() == ErrorCode::kUnimplemented || error.code() == ErrorCode::kNotFound;
  return usage ? 2 : 1;
}

namespace {

// mpirun's daemons and Slurm's that are killed leave what they have started to itself: rank 0 then ends the
// run as for any other SIGTERM, and with it the others.
void end_with_launcher(const Place& place) {
  if (place.launcher != Launcher::kNone) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

}  // namespace

int launch(const std::vector<std::string>& words, std::optional<int> n, const Programs& programs,
           const Interrupts& interrupts) {
  const auto environment = current_environment();
  const auto place = find_place(environment);
  const auto slots = count_slots(place, n);
  const auto arguments = split_spec_arguments(words);
  const auto resolve = [&] { return resolve_spec(arguments, slots.total, std::filesystem::current_path()); };
  const auto run_folder = [&] {
    const auto spec = resolve().spec;
    return std::filesystem::path(spec.work_dir()) / spec.name();
  };
  end_with_launcher(place);
  widen_binding(environment);
  if (place.size == 1) return lead(resolve(), place, slots, programs, nullptr, interrupts);
  const auto wireup = choose_wireup(environment, place, run_folder);
  if (place.rank != 0) return follow(place, programs, *wireup, interrupts);
  std::optional<config::Resolved> resolved;
  try {
    resolved = resolve();
  } catch (const Error& error) {
    const int status = report(error);  // first: the others' leaving may end this process
    share_refusal(*wireup);
    return status;
  }
  return lead(*resolved, place, slots, programs, wireup.get(), interrupts);
}

}  // namespace mdgen::launcher
