#include "tables.h"

namespace mdgen::flags {
std::vector<Effect> data_effects() {
  return {
      {"data.train_split", "$DATA/one.csv",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws | kLength |
           Names{"names", "sampled sequence", "validations"},
       "trains on the entries of this file"},
      {"data.val_split", "$DATA/one.csv", {"validation losses"}, "validates on the entries of this file"},
      {"data.data_dir", "$DATA/other/data", kLearning | kFirstStep | kCoordinates,
       "reads the arrays of this folder"},
      {"data.num_frames", "5",
       kLearning | kFirstStep | kCoordinates |
           Names{"attention mask", "loss mask", "noise", "sampled sequence"},
       "so many frames in a window"},
      {"data.crop", "6",
       kLearning | kFirstStep | kCoordinates | kResidues | Names{"noise", "sampled sequence"},
       "crops and pads proteins to so many residues"},
      {"data.crop",
       "5",
       {"warnings"},
       "nothing without atlas and abs_pos_emb but a warning",
       peptides({"crop=256"})},
      {"data.suffix", "_alt", kLearning | kFirstStep | kCoordinates,
       "reads the files with this in their names"},
      {"data.atlas", "true",
       kLearning | kFirstStep | kCoordinates |
           Names{"attention mask", "given residue types", "loss mask", "names", "noise", "residue mask",
                 "sampled sequence", "sequence", "torsion mask", "warnings"},
       "reads a replica of each entry's three, crops and pads", kPeptides},
      {"data.train_repeat", "3",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws | kLength | Names{"names", "validations"},
       "so many passes over the split in an epoch"},
      {"data.val_repeat",
       "3",
       {"validation losses", "validations"},
       "so many passes over the split in a validation, each with draws of its own"},
      {"data.num_workers", "2", {}, "nothing: the numbers do not depend on who reads"},
      {"data.copy_frames", "true",
       kLearning | kFirstStep | Names{"frames", "last frame", "latents", "torsions"},
       "each window's first frame in place of all"},
      {"data.frame_interval", "3", kLearning | kFirstStep | kCoordinates,
       "every third frame of a trajectory"},
      {"data.overfit", "true",
       kLearning | kFirstStep | kCoordinates | kResidues |
           Names{"names", "noise", "sampled sequence", "validations"},
       "the first entry in place of all, in validation too"},
      {"data.overfit_peptide", "AGPR",
       kFirstStep | kCoordinates | kDraws |
           Names{"averaged weights", "given residue types", "later losses", "loss mask", "names",
                 "optimizer state", "plan", "sampled atoms", "sampled latents", "sampled sequence",
                 "sequence", "torsion mask", "warnings", "weights"},
       "this peptide 1000 times an epoch and in a validation", peptides({"max_steps=2", "no_validate=true"})},
      {"data.overfit_frame", "true", kLearning | kFirstStep | kCoordinates, "windows that start at frame 0"},
      {"data.order", "bucketed",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws | Names{"names", "plan"},
       "another permutation of an epoch's samples: those of a step have similar lengths"},
      {"data.no_pad", "true", {"warnings"}, "nothing: the reference parses it and never reads it"},
      {"data.short_md", "true", {"warnings"}, "nothing: the reference parses it and never reads it"},
  };
}

}  // namespace mdgen::flags
