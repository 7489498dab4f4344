// mdgen-launch's command line, and the job spec that it asks for.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/spec.h"
#include "launcher/environment.h"

namespace mdgen::launcher {

// What stands after `train`: a file, then flags, then assignments; the later wins.
struct SpecArguments {
  std::optional<std::filesystem::path> file;
  std::vector<std::string> flags;        // the reference's and ours, as they are
  std::vector<std::string> assignments;  // --set a.b=c
  bool help = false;
};

// Throws Error(kInvalidArgument) for -f or --set without a value.
SpecArguments split_spec_arguments(std::span<const std::string> words);

// How many agents there are in all, and how many of them this process starts.
struct Slots {
  int total = 1;
  int here = 1;
};

// -n is for runs that no launcher has spread out: throws Error(kInvalidArgument) under mpirun -n 2 and the
// like.
Slots count_slots(const Place& place, std::optional<int> n);

// workers.max and workers.min default to the slots; a range that cannot be had is an error. Throws as
// config::resolve does, and Error when the file cannot be read.
config::Resolved resolve_spec(const SpecArguments& arguments, int slots, const std::filesystem::path& base);

}  // namespace mdgen::launcher
