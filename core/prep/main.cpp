// mdgen-prep: trajectories to the arrays that training reads.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>

#include "core/base/command_line.h"
#include "core/base/log.h"
#include "core/prep/run.h"

namespace {

constexpr int kBad = 1;

using mdgen::prep::RunOptions;

void add_options(CLI::App& app, RunOptions& options, bool& no_center) {
  app.set_version_flag("--version", std::string("mdgen-prep ") + MDGEN_VERSION);
  auto* sim_dir = app.add_option("--sim_dir", options.sim_dir,
                                 "folder with {name}/{name}.pdb and {name}/{name}.xtc for each entry");
  auto* top = app.add_option("--top", options.topology, "topology of one trajectory: PDB, GRO, PSF …");
  auto* traj =
      app.add_option("--traj", options.trajectory, "one trajectory: XTC, DCD, TRR, multi-model PDB …");
  app.add_option("--outdir", options.outdir, "folder for the .npy files; made when absent")->required();
  auto* name = app.add_option(
      "--name", options.names,
      "entry, may be repeated (default: those of --split, else every sub-folder of --sim_dir)");
  app.add_option("--split", options.split,
                 "CSV with name,seqres: which entries, and their sequences to check");
  app.add_option("--write_split", options.write_split,
                 "write this CSV with name,seqres of what was converted");
  auto* atlas =
      app.add_flag("--atlas", options.atlas,
                   "replicas: {name}_prod_R{i}_fit.xtc or {name}_R{i}.xtc to {name}_R{i}.npy, i = 1, 2, 3");
  app.add_option("--replica", options.replica, "number of the one trajectory under --atlas")
      ->check(CLI::Range(1, 3))
      ->capture_default_str()
      ->needs(top)
      ->needs(atlas);
  app.add_option("--suffix", options.suffix, "end of the file names, before .npy");
  app.add_option("--stride", options.convert.stride, "keep every so many frames")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--dtype", [&](const std::string& dtype) { options.convert.half = dtype == "float16"; },
         "float16 or float32 (default: float16)")
      ->check(CLI::IsMember({"float16", "float32"}));
  app.add_flag("--no_center", no_center, "leave the coordinates where frame 0 is, as the original does");
  app.add_flag("--skip_existing", options.skip_existing, "keep the .npy files that are there already");
  app.add_option("--num_workers", options.num_workers, "entries converted at a time")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  sim_dir->excludes(top)->excludes(traj);
  top->needs(traj)->needs(name);
  traj->needs(top);
}

std::string usage_problem(const RunOptions& options) {
  if (options.sim_dir.empty() && options.topology.empty())
    return "--sim_dir, or --top and --traj, is required";
  if (!options.topology.empty() && options.names.size() != 1) return "--top and --traj take one --name";
  if (options.suffix.find('/') != std::string::npos) return "--suffix: no '/' allowed";
  std::set<std::string> seen;
  for (const std::string& name : options.names) {
    if (name.empty() || name == "." || name.find("..") != std::string::npos ||
        name.find('/') != std::string::npos || name.find_first_of(",\"\n") != std::string::npos)
      return "--name " + name + ": a plain file name is expected";
    if (!seen.insert(name).second) return "--name " + name + " is given twice";
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trajectories to .npy arrays [frames, residues, 14, 3] in Å, superposed on frame 0.");
  RunOptions options;
  bool no_center = false;
  add_options(app, options, no_center);
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  if (const std::string problem = usage_problem(options); !problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    return mdgen::kExitUsage;
  }
  options.convert.center = !no_center;
  mdgen::init_logging("prep");
  try {
    return mdgen::prep::run(options) ? 0 : kBad;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return kBad;
  }
}
