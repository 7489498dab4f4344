// Small trajectory files written by hand, byte for byte as the formats define them, so that tests can spoil
// them.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace mdgen::testing {

using Frame = std::vector<std::array<float, 3>>;  // Å

inline std::string word(std::uint32_t value, std::endian order) {
  if (order != std::endian::native) value = __builtin_bswap32(value);
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}
inline std::string number(float value, std::endian order) {
  return word(std::bit_cast<std::uint32_t>(value), order);
}

// Up to nine atoms: stored without compression.
inline std::string xtc(const std::vector<Frame>& frames) {
  constexpr std::endian kBig = std::endian::big;
  std::string bytes;
  for (std::uint32_t step = 0; step < frames.size(); ++step) {
    const auto atoms = static_cast<std::uint32_t>(frames[step].size());
    bytes += word(1995, kBig) + word(atoms, kBig) + word(step, kBig) + number(static_cast<float>(step), kBig);
    for (int i = 0; i < 9; ++i) bytes += number(0, kBig);
    bytes += word(atoms, kBig);
    for (const auto& atom : frames[step])
      for (const float value : atom) bytes += number(value / 10, kBig);
  }
  return bytes;
}

inline std::string trr(const std::vector<Frame>& frames) {
  constexpr std::endian kBig = std::endian::big;
  std::string bytes;
  for (std::uint32_t step = 0; step < frames.size(); ++step) {
    const auto atoms = static_cast<std::uint32_t>(frames[step].size());
    bytes += word(1993, kBig) + word(13, kBig) + word(12, kBig) + "GMX_trn_file";
    for (int part = 0; part < 10; ++part) bytes += word(part == 7 ? atoms * 12 : 0, kBig);
    bytes += word(atoms, kBig) + word(step, kBig) + word(0, kBig) + number(0, kBig) + number(0, kBig);
    for (const auto& atom : frames[step])
      for (const float value : atom) bytes += number(value / 10, kBig);
  }
  return bytes;
}

inline std::string record(const std::string& data, std::endian order) {
  const std::string length = word(static_cast<std::uint32_t>(data.size()), order);
  return length + data + length;
}

inline std::string dcd(const std::vector<Frame>& frames, std::uint32_t claimed,
                       std::endian order = std::endian::little) {
  std::string control = "CORD";
  for (int i = 0; i < 20; ++i)
    control += word(i == 0 ? claimed : i == 1 || i == 2 ? 1U : i == 19 ? 24U : 0U, order);
  std::string title = word(1, order) + "written by hand";
  title.resize(84, ' ');
  std::string bytes = record(control, order) + record(title, order) +
                      record(word(static_cast<std::uint32_t>(frames.at(0).size()), order), order);
  for (const Frame& frame : frames)
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::string values;
      for (const auto& atom : frame) values += number(atom[axis], order);
      bytes += record(values, order);
    }
  return bytes;
}

struct PdbAtom {
  std::string name;
  std::string residue;
  int number = 1;
  char chain = 'A';
};

inline std::string pdb_atoms(const std::vector<PdbAtom>& atoms, const Frame& positions) {
  std::string text;
  for (std::size_t i = 0; i < atoms.size(); ++i) {
    const std::string name = atoms[i].name.size() < 4 ? " " + atoms[i].name : atoms[i].name;
    std::array<char, 100> line{};
    std::snprintf(line.data(), line.size(), "ATOM  %5zu %-4s %-3s %c%4d    %8.3f%8.3f%8.3f  1.00  0.00\n",
                  i + 1, name.c_str(), atoms[i].residue.c_str(), atoms[i].chain, atoms[i].number,
                  static_cast<double>(positions[i][0]), static_cast<double>(positions[i][1]),
                  static_cast<double>(positions[i][2]));
    text += line.data();
  }
  return text;
}

inline std::string pdb(const std::vector<PdbAtom>& atoms, const std::vector<Frame>& frames) {
  std::string text;
  for (std::size_t i = 0; i < frames.size(); ++i)
    text += "MODEL     " + std::to_string(i + 1) + "\n" + pdb_atoms(atoms, frames[i]) + "ENDMDL\n";
  return text + "END\n";
}

// A glycine with both terminal oxygens, moving along x.
inline std::vector<PdbAtom> glycine() {
  return {{"N", "GLY"}, {"CA", "GLY"}, {"C", "GLY"}, {"O", "GLY"}, {"OXT", "GLY"}};
}
inline std::vector<Frame> glycine_frames(std::size_t count) {
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < count; ++i) {
    const float x = static_cast<float>(i);
    frames.push_back({{x, 1.5F, 0}, {x, 0, 0}, {x + 1.5F, 0, 0}, {x + 2, 1, 0.5F}, {x + 2, -1, -0.25F}});
  }
  return frames;
}

}  // namespace mdgen::testing
