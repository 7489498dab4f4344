#include "core/prep/flags.h"

#include <CLI/CLI.hpp>
#include <set>

#include "core/base/command_line.h"
#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

std::string name_problem(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty() || name == "." || name.find("..") != std::string::npos ||
        name.find('/') != std::string::npos || name.find_first_of(",\"\n") != std::string::npos)
      return "--name " + name + ": a plain file name is expected";
    if (!seen.insert(name).second) return "--name " + name + " is given twice";
  }
  return "";
}

std::string map_problem(const std::vector<std::string>& maps) {
  std::set<std::string> seen;
  for (const std::string& map : maps) {
    const std::size_t equals = map.find('=');
    if (equals == std::string::npos || equals == 0) return "--map " + map + ": NAME=PARENT is expected";
    const std::string name = map.substr(0, equals);
    const std::string parent = map.substr(equals + 1);
    if (protein::residue_type_by_name(parent) < 0)
      return "--map " + map + ": '" + parent + "' is none of the twenty residues (ALA, ARG …)";
    if (protein::residue_type_by_name(name) >= 0)
      return "--map " + map + ": " + name + " is one of the twenty itself";
    if (!seen.insert(name).second) return "--map " + name + "=… is given twice";
  }
  return "";
}

}  // namespace

Flags::Flags()
    : app_(std::make_unique<CLI::App>(
          "Trajectories to .npy arrays [frames, residues, 14, 3] in Å, superposed on frame 0.")) {
  add_inputs();
  add_choices();
  add_outputs();
}

Flags::~Flags() = default;

void Flags::add_inputs() {
  auto* sim_dir = app_->add_option("--sim_dir,--atlas_dir", options_.sim_dir,
                                   "folder with {name}/{name}.pdb and {name}/{name}.xtc for each entry");
  auto* top = app_->add_option("--top", options_.topology, "topology of one trajectory: PDB, GRO, PSF …");
  auto* traj =
      app_->add_option("--traj", options_.trajectory, "one trajectory: XTC, DCD, TRR, multi-model PDB …");
  auto* name = app_->add_option(
      "--name", options_.names,
      "entry, may be repeated (default: those of --split, else every sub-folder of --sim_dir)");
  app_->add_option("--split,--splits", options_.split,
                   "CSV with name,seqres: which entries, and their sequences to check");
  auto* atlas =
      app_->add_flag("--atlas", options_.atlas,
                     "replicas: {name}_prod_R{i}_fit.xtc or {name}_R{i}.xtc to {name}_R{i}.npy, i = 1, 2, 3");
  app_->add_option("--replica", options_.replica, "number of the one trajectory under --atlas")
      ->check(CLI::Range(1, 3))
      ->capture_default_str()
      ->needs(top)
      ->needs(atlas);
  sim_dir->excludes(top)->excludes(traj);
  top->needs(traj)->needs(name);
  traj->needs(top);
}

void Flags::add_choices() {
  app_->add_option("--stride", options_.convert.stride,
                   "keep every so many frames; the others are not decoded")
      ->check(positive_number())
      ->capture_default_str();
  app_->add_option("--dtype", dtype_, "float16 or float32")
      ->check(CLI::IsMember({"float16", "float32"}))
      ->capture_default_str();
  app_->add_flag("--no_center", no_center_, "leave the coordinates where frame 0 is, as the original does");
  app_->add_flag("--unwrap", options_.convert.unwrap,
                 "bring molecules that are broken across the periodic box into one piece (without: refused)");
  app_->add_option("--chain", chain_,
                   "identifier or segment of the chain to convert, where there are several");
  app_->add_option(
      "--map", maps_,
      "NAME=PARENT: take residues of that name for one of the twenty, leave out atoms that it has "
      "not; may be repeated");
  app_->add_option("--drop", drop_, "NAME: leave out residues of that name; may be repeated");
}

void Flags::add_outputs() {
  app_->set_version_flag("--version", std::string("mdgen-prep ") + MDGEN_VERSION);
  app_->add_option("--outdir", options_.outdir, "folder for the .npy files; made when absent")->required();
  app_->add_option("--suffix", options_.suffix, "end of the file names, before .npy");
  app_->add_option("--write_split", options_.write_split,
                   "write this CSV with name,seqres of what was converted");
  app_->add_option("--report", options_.report,
                   "write the report to this JSON file (default: report.json in --outdir)");
  auto* force = app_->add_flag("--force", options_.force, "convert finished entries once more");
  app_->add_flag("--skip_existing", options_.skip_existing,
                 "keep .npy files of which there is no record how they were made, unchecked")
      ->excludes(force);
  app_->add_option("--num_workers", options_.num_workers, "trajectories converted at a time")
      ->check(positive_number())
      ->capture_default_str();
}

std::string Flags::problem() const {
  if (options_.sim_dir.empty() && options_.topology.empty())
    return "--sim_dir, or --top and --traj, is required";
  if (!options_.topology.empty() && options_.names.size() != 1) return "--top and --traj take one --name";
  if (options_.suffix.find('/') != std::string::npos) return "--suffix: no '/' allowed";
  for (const std::string& name : drop_)
    if (protein::residue_type_by_name(name) >= 0)
      return "--drop " + name + ": a residue of the twenty cannot be left out of a chain";
  if (const std::string problem = map_problem(maps_); !problem.empty()) return problem;
  return name_problem(options_.names);
}

RunOptions Flags::options() const {
  RunOptions options = options_;
  options.convert.center = !no_center_;
  options.convert.half = dtype_ == "float16";
  for (const std::string& map : maps_)
    options.rules.parents[map.substr(0, map.find('='))] = map.substr(map.find('=') + 1);
  options.rules.drop.insert(drop_.begin(), drop_.end());
  if (app_->count("--chain") > 0) options.rules.chain = chain_;
  return options;
}

}  // namespace mdgen::prep
