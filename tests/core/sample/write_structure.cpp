// Writes what test_structure.py reads with mdtraj: write_structure FILE.npy SEQUENCE FOLDER makes one.pdb,
// all.xtc, all.pdb and all.npy of the array's frames, 2.5 ps apart. Exit 1 with the reason when it cannot.
#include <cstring>
#include <iostream>
#include <vector>

#include "core/base/error.h"
#include "core/format/npy.h"
#include "core/sample/structure.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: write_structure FILE.npy SEQUENCE FOLDER\n";
    return 2;
  }
  const mdgen::format::NpyArray array(argv[1]);
  std::size_t values = 1;
  for (const std::int64_t extent : array.header().shape) values *= static_cast<std::size_t>(extent);
  std::vector<float> coordinates(values);
  std::memcpy(coordinates.data(), array.data(), values * sizeof(float));
  std::vector<int> types;
  for (const char* letter = argv[2]; *letter != '\0'; ++letter)
    types.push_back(mdgen::protein::residue_type(*letter));

  const mdgen::protein::Atom14Trajectory trajectory(coordinates, types);
  const std::filesystem::path folder = argv[3];
  try {
    mdgen::sample::write_pdb(folder / "all.pdb", trajectory);
    mdgen::sample::write_xtc_and_pdb(folder / "all.xtc", folder / "one.pdb", trajectory, 2.5);
    mdgen::sample::write_atom14(folder / "all.npy", trajectory);
  } catch (const mdgen::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
