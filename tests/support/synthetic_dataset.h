// A small data set of moving peptides: ideal bond lengths and angles, torsions that change smoothly and are
// known exactly. No LibTorch. synthetic_dataset.py makes a like one for Python tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mdgen::testing {

struct SyntheticOptions {
  std::vector<int> lengths = {12, 20};  // residues of each protein
  int frames = 16;
  int replicas = 3;           // 0: the layout without atlas
  std::string dtype = "<f2";  // or "<f4"
  std::string suffix{};
  std::uint64_t seed = 1;
};

struct SyntheticDataset {
  std::filesystem::path train_split;  // all proteins
  std::filesystem::path val_split;    // the first
  std::filesystem::path data_dir;
  std::vector<std::string> names;
  std::vector<std::string> sequences;
};

// Writes train.csv, val.csv and data/*.npy under `folder`. The same options give the same bytes.
SyntheticDataset make_synthetic_dataset(const std::filesystem::path& folder, const SyntheticOptions& options);

// (frames, residues, 14, 3) in Å, C order; each frame is centred; atoms that a residue lacks are 0.
std::vector<float> synthetic_peptide(const std::string& sequence, int frames, std::uint64_t seed);

// The angle in radians that synthetic_peptide() used. `torsion`: pre-omega, phi, psi, chi1 … chi4.
double synthetic_torsion(std::uint64_t seed, int residue, int torsion, int frame);

}  // namespace mdgen::testing
