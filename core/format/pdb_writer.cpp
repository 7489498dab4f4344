#include "core/format/pdb_writer.h"

#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

constexpr std::size_t kMostAtoms = 99999 - 1;  // TER takes a number, too
constexpr int kMostResidues = 9999;
constexpr int kCoordinateColumns = 8;

std::string text_of(const AtomRecord& atom) {
  return atom.name + " of " + atom.residue + " " + std::to_string(atom.residue_number);
}

// Columns 31-38, 39-46 or 47-54; empty when the value does not fit.
std::string coordinate(double value) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%*.3f", kCoordinateColumns, value);
  return std::isfinite(value) && length == kCoordinateColumns ? text : "";
}

// Columns 13-16: names of a one-letter element start in the second one, unless they need all four.
std::string name_columns(const AtomRecord& atom) {
  std::string name = atom.element.size() == 1 && atom.name.size() < 4 ? " " + atom.name : atom.name;
  name.resize(4, ' ');
  return name;
}

}  // namespace

PdbWriter::PdbWriter(const std::filesystem::path& file, std::vector<AtomRecord> atoms, Models models)
    : atoms_(std::move(atoms)), models_(models), file_(file) {
  if (atoms_.size() > kMostAtoms)
    throw Error(ErrorCode::kInvalidArgument, file.string() + ": " + std::to_string(atoms_.size()) +
                                                 " atoms; the PDB format numbers at most " +
                                                 std::to_string(kMostAtoms) + " and TER");
  for (const AtomRecord& atom : atoms_) {
    if (atom.residue_number > kMostResidues || atom.residue_number < 1 || atom.name.size() > 4 ||
        atom.residue.size() > 3)
      throw Error(ErrorCode::kInvalidArgument,
                  file.string() + ": " + text_of(atom) + " does not fit the columns of the PDB format");
  }
  stream_.reset(std::fopen(file_.path().c_str(), "w"));
  if (stream_ == nullptr)
    throw Error(ErrorCode::kUnavailable,
                "cannot open " + file_.path().string() + ": " + std::strerror(errno));
}

PdbWriter::~PdbWriter() = default;

void PdbWriter::line(const std::string& text) {
  if (std::fputs((text + "\n").c_str(), stream_.get()) < 0)
    throw Error(ErrorCode::kUnavailable,
                "cannot write " + file_.path().string() + ": " + std::strerror(errno));
}

void PdbWriter::append(std::span<const std::array<double, 3>> positions) {
  if (positions.size() != atoms_.size() || (models_ == Models::kOne && written_ > 0))
    throw Error(ErrorCode::kInternal, file_.file().string() + ": model " + std::to_string(written_) +
                                          " is one too many or has another number of atoms");
  ++written_;
  char text[96];
  if (models_ == Models::kMany) {
    std::snprintf(text, sizeof text, "MODEL %8d", written_);
    line(text);
  }
  for (std::size_t i = 0; i < atoms_.size(); ++i) {
    const AtomRecord& atom = atoms_[i];
    std::array<std::string, 3> xyz;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      xyz[axis] = coordinate(positions[i][axis]);
      if (xyz[axis].empty())
        throw Error(ErrorCode::kInvalidArgument,
                    file_.file().string() + ": frame " + std::to_string(written_ - 1) + ", " + text_of(atom) +
                        ": the coordinate " + std::to_string(positions[i][axis]) +
                        " Å does not fit the columns of the PDB format (-999.999 … 9999.999)");
    }
    std::snprintf(text, sizeof text, "ATOM  %5zu %4s %3s %c%4d    %s%s%s%6.2f%6.2f          %2s  ", i + 1,
                  name_columns(atom).c_str(), atom.residue.c_str(), atom.chain, atom.residue_number,
                  xyz[0].c_str(), xyz[1].c_str(), xyz[2].c_str(), 1.0, 0.0, atom.element.c_str());
    line(text);
  }
  if (!atoms_.empty()) {
    const AtomRecord& last = atoms_.back();
    std::snprintf(text, sizeof text, "TER   %5zu      %3s %c%4d", atoms_.size() + 1, last.residue.c_str(),
                  last.chain, last.residue_number);
    line(text);
  }
  if (models_ == Models::kMany) line("ENDMDL");
}

void PdbWriter::publish() {
  line("END");
  if (std::fclose(stream_.release()) != 0)
    throw Error(ErrorCode::kUnavailable,
                "cannot write " + file_.path().string() + ": " + std::strerror(errno));
  file_.publish();
}

}  // namespace mdgen::format
