// The table's parts, one a group of the schema.
#pragma once

#include <vector>

#include "table.h"

namespace mdgen::flags {

// Whatever changes what is learnt from some step on changes these.
const Names kLearning = {"later losses",    "validation losses", "weights",      "averaged weights",
                         "optimizer state", "sampled latents",   "sampled atoms"};
const Names kFirstStep = {"first loss", "first gradient"};
// What is read of a trajectory.
const Names kCoordinates = {"frames", "torsions", "latents", "given latents", "first frame", "last frame"};
// What follows from which residues a sample shows.
const Names kResidues = {"sequence",     "torsion mask",   "loss mask", "given residue types",
                         "residue mask", "attention mask", "crop start"};
const Names kDraws = {"noise", "flow time draw", "dropout key"};
const Names kModel = {"parameters", "initial weights"};
const Names kLength = {"steps",           "plan", "micro-batches", "learning rates", "checkpoints written",
                       "checkpoints kept"};

// The data set of tetrapeptides.
const std::vector<std::string> kPeptides = {"atlas=false", "data_dir=$DATA/peptides/data",
                                            "train_split=$DATA/peptides/train.csv",
                                            "val_split=$DATA/peptides/val.csv", "train_repeat=4"};
inline std::vector<std::string> peptides(std::vector<std::string> more) {
  more.insert(more.begin(), kPeptides.begin(), kPeptides.end());
  return more;
}

std::vector<Effect> top_effects();
std::vector<Effect> data_effects();
std::vector<Effect> model_effects();
std::vector<Effect> transport_effects();
std::vector<Effect> optim_effects();
std::vector<Effect> loop_effects();
std::vector<Effect> checkpoint_effects();
std::vector<Effect> logging_effects();

}  // namespace mdgen::flags
