#include "core/sample/structure.h"

#include "core/format/npy_writer.h"
#include "core/format/xtc_writer.h"
#include "core/protein/superposition.h"

namespace mdgen::sample {

using protein::Atom14Trajectory;

HeavyAtoms::HeavyAtoms(std::span<const int> types) {
  for (std::size_t residue = 0; residue < types.size(); ++residue) {
    const auto& names = protein::atom14_names(types[residue]);
    for (std::size_t atom = 0; atom < names.size(); ++atom) {
      if (names[atom].empty()) continue;
      places_.push_back({residue, atom});
      records_.push_back({.name = std::string(names[atom]),
                          .element = std::string(names[atom].substr(0, 1)),
                          .residue = std::string(protein::residue_name(types[residue])),
                          .residue_number = static_cast<int>(residue) + 1});
    }
  }
}

Positions HeavyAtoms::positions(const Atom14Trajectory& trajectory, std::size_t frame) const {
  Positions positions;
  positions.reserve(places_.size());
  for (const Place& place : places_)
    positions.push_back(trajectory.position(frame, place.residue, place.atom));
  return positions;
}

void write_pdb(const std::filesystem::path& file, const Atom14Trajectory& trajectory) {
  const HeavyAtoms atoms(trajectory.types());
  format::PdbWriter writer(file, atoms.records(), format::PdbWriter::Models::kMany);
  for (std::size_t frame = 0; frame < trajectory.frames(); ++frame)
    writer.append(atoms.positions(trajectory, frame));
  writer.publish();
}

void write_xtc_and_pdb(const std::filesystem::path& xtc, const std::filesystem::path& pdb,
                       const Atom14Trajectory& trajectory, double time_step) {
  const HeavyAtoms atoms(trajectory.types());
  const Positions first = atoms.positions(trajectory, 0);
  const protein::Superposition superposition(first);
  format::XtcWriter frames(xtc);
  format::PdbWriter topology(pdb, atoms.records(), format::PdbWriter::Models::kOne);
  topology.append(first);
  for (std::size_t frame = 0; frame < trajectory.frames(); ++frame) {
    Positions positions = atoms.positions(trajectory, frame);
    if (frame > 0) superposition.apply(positions);
    frames.append(positions, time_step * static_cast<double>(frame));
  }
  frames.publish();
  topology.publish();
}

void write_atom14(const std::filesystem::path& file, const Atom14Trajectory& trajectory) {
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(trajectory.frames()),
                                           static_cast<std::int64_t>(trajectory.residues()), protein::kAtom14,
                                           3};
  format::NpyWriter writer(file, "<f4", shape);
  writer.append(std::as_bytes(trajectory.coordinates()));
  writer.finish();
  writer.publish();
}

}  // namespace mdgen::sample
