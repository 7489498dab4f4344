#include "launcher/environment.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::launcher {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

std::string text(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

int number(const Environment& environment, const std::string& name) {
  const std::string value = text(environment, name);
  int result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || result < 0) {
    refuse("environment variable " + name + "='" + value + "' is not a number of 0 or more");
  }
  return result;
}

enum class Presence { kNone, kPartial, kComplete };

Presence presence(const Environment& environment, std::initializer_list<const char*> names) {
  const auto present = std::count_if(names.begin(), names.end(),
                                     [&](const char* name) { return !text(environment, name).empty(); });
  if (present == 0) return Presence::kNone;
  return present == static_cast<std::ptrdiff_t>(names.size()) ? Presence::kComplete : Presence::kPartial;
}

// None or complete; a partial set is an error that names what is missing.
bool complete(const Environment& environment, const char* who, std::initializer_list<const char*> names) {
  const Presence found = presence(environment, names);
  if (found != Presence::kPartial) return found == Presence::kComplete;
  std::vector<std::string> missing;
  for (const char* name : names) {
    if (text(environment, name).empty()) missing.emplace_back(name);
  }
  refuse(std::string("the environment of ") + who + " is incomplete: no " + join(missing, ", "));
}

Place checked(Place place) {
  const std::string who = launcher_name(place.launcher);
  if (place.rank >= place.size) {
    refuse(who + " gives rank " + std::to_string(place.rank) + " of " + std::to_string(place.size));
  }
  if (place.local_rank >= place.local_size || place.local_size > place.size) {
    refuse(who + " gives local rank " + std::to_string(place.local_rank) + " of " +
           std::to_string(place.local_size) + " on a host, " + std::to_string(place.size) + " in all");
  }
  return place;
}

std::string join_present(const Environment& environment, const char* prefix,
                         std::initializer_list<const char*> names) {
  std::vector<std::string> parts = {prefix};
  for (const char* name : names) {
    if (const std::string value = text(environment, name); !value.empty()) parts.push_back(value);
  }
  return parts.size() == 1 ? std::string() : join(parts, "-");
}

std::optional<Place> torch_place(const Environment& environment) {
  if (presence(environment, {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
                             "MASTER_PORT"}) != Presence::kComplete) {
    return std::nullopt;
  }
  return checked({Launcher::kTorch, number(environment, "RANK"), number(environment, "WORLD_SIZE"),
                  number(environment, "LOCAL_RANK"), number(environment, "LOCAL_WORLD_SIZE"),
                  join_present(environment, "torch", {"TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"})});
}

std::optional<Place> open_mpi_place(const Environment& environment) {
  if (!complete(environment, "mpirun",
                {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                 "OMPI_COMM_WORLD_LOCAL_SIZE"})) {
    return std::nullopt;
  }
  return checked({Launcher::kOpenMpi, number(environment, "OMPI_COMM_WORLD_RANK"),
                  number(environment, "OMPI_COMM_WORLD_SIZE"),
                  number(environment, "OMPI_COMM_WORLD_LOCAL_RANK"),
                  number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE"),
                  join_present(environment, "ompi", {"PMIX_NAMESPACE"})});
}

std::optional<Place> pmi_place(const Environment& environment) {
  if (!complete(environment, "PMI", {"PMI_RANK", "PMI_SIZE"})) return std::nullopt;
  Place place{Launcher::kPmi,
              number(environment, "PMI_RANK"),
              number(environment, "PMI_SIZE"),
              0,
              1,
              join_present(environment, "pmi", {"PMI_JOBID", "PMI_ID"})};
  if (complete(environment, "PMI", {"MPI_LOCALRANKID", "MPI_LOCALNRANKS"})) {
    place.local_rank = number(environment, "MPI_LOCALRANKID");
    place.local_size = number(environment, "MPI_LOCALNRANKS");
  } else if (place.size > 1) {
    return std::nullopt;  // such as srun --mpi=pmi2: the SLURM set says more
  }
  return checked(std::move(place));
}

// "2(x3),1": how many tasks each node has.
int tasks_on_node(const std::string& per_node, int node) {
  for (const std::string& group : split(per_node, ',')) {
    int tasks = 0, repeat = 1;
    const char* end = group.data() + group.size();
    auto [at, error] = std::from_chars(group.data(), end, tasks);
    if (error == std::errc() && end - at > 3 && std::string_view(at, 2) == "(x")
      std::from_chars(at + 2, end, repeat);
    if (error != std::errc() || tasks < 1 || repeat < 1) break;
    if (node < repeat) return tasks;
    node -= repeat;
  }
  refuse("environment variable SLURM_STEP_TASKS_PER_NODE='" + per_node +
         "' does not say how many tasks this node has");
}

std::optional<Place> slurm_place(const Environment& environment) {
  if (text(environment, "SLURM_STEP_ID").empty()) return std::nullopt;
  if (!complete(environment, "srun",
                {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_NODEID",
                 "SLURM_STEP_TASKS_PER_NODE"})) {
    return std::nullopt;
  }
  return checked(
      {Launcher::kSlurm, number(environment, "SLURM_PROCID"), number(environment, "SLURM_STEP_NUM_TASKS"),
       number(environment, "SLURM_LOCALID"),
       tasks_on_node(text(environment, "SLURM_STEP_TASKS_PER_NODE"), number(environment, "SLURM_NODEID")),
       join_present(environment, "slurm", {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"})});
}

std::optional<Place> launched_place(const Environment& environment) {
  if (auto place = open_mpi_place(environment)) return place;
  if (auto place = pmi_place(environment)) return place;
  if (auto place = slurm_place(environment)) return place;
  if (!text(environment, "PMI_RANK").empty()) {
    refuse("PMI gives a rank but no place on the host: MPI_LOCALRANKID and MPI_LOCALNRANKS are not set");
  }
  return std::nullopt;
}

// The launcher started torchrun, once a host, and not this process.
bool is_torchruns_own(const Environment& environment, const Place& launched) {
  return presence(environment, {"GROUP_RANK", "GROUP_WORLD_SIZE"}) == Presence::kComplete &&
         number(environment, "GROUP_RANK") == launched.rank &&
         number(environment, "GROUP_WORLD_SIZE") == launched.size;
}

}  // namespace

Environment current_environment() {
  Environment result;
  for (char** one = ::environ; *one != nullptr; ++one) {
    const std::string_view entry(*one);
    const std::size_t equals = entry.find('=');
    if (equals != std::string_view::npos) result.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return result;
}

const char* launcher_name(Launcher launcher) {
  switch (launcher) {
    case Launcher::kNone:
      return "nobody";
    case Launcher::kTorch:
      return "torchrun";
    case Launcher::kOpenMpi:
      return "mpirun";
    case Launcher::kPmi:
      return "PMI";
    case Launcher::kSlurm:
      return "srun";
  }
  return "?";
}

Place find_place(const Environment& environment) {
  const auto torch = torch_place(environment);
  const auto launched = launched_place(environment);
  if (!torch) return launched.value_or(Place{});
  const bool nested = launched && is_torchruns_own(environment, *launched);
  if (launched && !nested && (launched->rank != torch->rank || launched->size != torch->size)) {
    refuse("RANK=" + std::to_string(torch->rank) + " of WORLD_SIZE=" + std::to_string(torch->size) +
           " contradicts " + launcher_name(launched->launcher) + ", which gives rank " +
           std::to_string(launched->rank) + " of " + std::to_string(launched->size) +
           "; unset the one that is not meant");
  }
  Place place = *torch;
  place.nested = nested;
  if (launched && !launched->launch_id.empty()) {
    place.launch_id = launched->launch_id + (place.launch_id.empty() ? "" : "-" + place.launch_id);
  }
  return place;
}

}  // namespace mdgen::launcher
