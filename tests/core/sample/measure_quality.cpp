// Prints what test_quality.py compares with mdtraj and NumPy: measure_quality FILE.npy SEQUENCE.
#include <cstring>
#include <iostream>
#include <vector>

#include "core/format/npy.h"
#include "core/sample/quality.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: measure_quality FILE.npy SEQUENCE\n";
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
  std::cout.precision(17);
  std::cout << "validity " << mdgen::sample::ca_distance_validity(trajectory) << '\n'
            << "unbroken " << mdgen::sample::unbroken_frames(trajectory) << '\n'
            << "clashes " << mdgen::sample::clashes_per_frame(trajectory) << '\n'
            << "rmsf";
  for (const double value : mdgen::sample::ca_rmsf(trajectory)) std::cout << ' ' << value;
  std::cout << '\n';
}
