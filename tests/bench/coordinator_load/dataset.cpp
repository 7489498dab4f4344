#include "tests/bench/coordinator_load/dataset.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>

namespace mdgen::load {
namespace {

constexpr int kFrames = 250;
constexpr int kShortest = 38, kLongest = 1144;
constexpr std::string_view kLetters = "ARNDCQEGHILKMFPSTWYV";

// Between the bounds with a mean of about 230, as the Weyl sequence of the golden ratio goes through (0, 1).
int length_of(int entry) {
  const double share = std::fmod((entry + 1) * 0.6180339887498949, 1.0);
  return static_cast<int>(kShortest * std::pow(double{kLongest} / kShortest, std::pow(share, 1.6)));
}

void write_array(const std::filesystem::path& file, int residues) {
  std::string header = "{'descr': '<f2', 'fortran_order': False, 'shape': (" + std::to_string(kFrames) +
                       ", " + std::to_string(residues) + ", 14, 3), }";
  header.resize(117, ' ');
  header += '\n';
  std::ofstream stream(file, std::ios::binary);
  stream << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(header.size()) << '\0' << header;
  stream.close();
  std::filesystem::resize_file(file, 10 + header.size() + std::uintmax_t{kFrames} * residues * 14 * 3 * 2);
}

}  // namespace

Dataset write_dataset(const std::filesystem::path& folder, int entries) {
  Dataset made{folder / "split.csv", folder / "data"};
  std::filesystem::create_directories(made.data_dir);
  std::ofstream split(made.split);
  split << "name,seqres\n";
  for (int entry = 0; entry < entries; ++entry) {
    const std::string name = std::to_string(1000 + entry) + "_A";
    const int residues = length_of(entry);
    std::string sequence;
    for (int i = 0; i < residues; ++i) sequence += kLetters[static_cast<std::size_t>(7 * i + entry) % 20];
    split << name << ',' << sequence << '\n';
    for (int replica = 1; replica <= 3; ++replica)
      write_array(made.data_dir / (name + "_R" + std::to_string(replica) + ".npy"), residues);
  }
  return made;
}

}  // namespace mdgen::load
