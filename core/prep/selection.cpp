#include "core/prep/selection.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/prep/bonds.h"
#include "core/prep/images.h"
#include "core/protein/names.h"
#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

using protein::kAtom14;

constexpr std::size_t kShown = 10;
constexpr std::string_view kTerminalOxygen = "OXT";

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, file.string() + ": " + reason);
}

// Collects what is wrong with the atoms, so that a person sees more than the first fault.
class Selector {
 public:
  Selector(const format::Topology& topology, Chain chain) : topology_(topology), chain_(std::move(chain)) {
    selection_.notes = std::move(chain_.notes);
  }

  Selection run() {
    selection_.topology_atoms = topology_.atom_names.size();
    for (std::size_t i = 0; i < chain_.residues.size(); ++i) add_residue(i);
    std::sort(selection_.atoms.begin(), selection_.atoms.end(),
              [](const SelectedAtom& a, const SelectedAtom& b) { return a.index < b.index; });
    return std::move(selection_);
  }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  const format::TopologyResidue& at(std::size_t index) const {
    return topology_.residues[chain_.residues[index].index];
  }
  bool is_last(std::size_t index) const { return index + 1 == chain_.residues.size(); }

  void add_residue(std::size_t index) {
    const int type = chain_.residues[index].type;
    selection_.sequence += protein::kResidueLetters[static_cast<std::size_t>(type)];
    selection_.residues.push_back(label(at(index)));
    std::array<int, kAtom14> seen{};
    int terminal_seen = 0;
    std::vector<std::string> left_out;
    for (const std::size_t atom : at(index).atoms) {
      const std::string& given = topology_.atom_names[atom];
      if (protein::is_hydrogen(given)) continue;
      const std::string_view name = standard_name(index, given);
      const int place = protein::atom14_index(type, name);
      SelectedAtom selected{std::string(name), atom, index, std::nullopt};
      if (place >= 0) {
        selected.slot = index * kAtom14 + static_cast<std::size_t>(place);
        ++seen.at(static_cast<std::size_t>(place));
      } else if (name == kTerminalOxygen) {
        ++terminal_seen;
      } else if (may_leave_out(index, given)) {
        left_out.push_back(given);
        continue;
      } else {
        problem(index, "atom '" + given + "' is none of its heavy atoms");
      }
      selection_.atoms.push_back(selected);
    }
    if (!left_out.empty())
      selection_.notes.push_back("left out atoms of " + label(at(index)) + ": " + join(left_out, " "));
    check_counts(index, type, seen);
    if (terminal_seen > 1) problem(index, "atom OXT is there " + std::to_string(terminal_seen) + " times");
    if (terminal_seen > 0 && !is_last(index))
      problem(index, "atom OXT ends a chain here; one chain a file is supported");
  }

  // In a mapped residue an alias ("O1" for O) counts only where the standard name is absent: its further
  // atoms have names of their own.
  std::string_view standard_name(std::size_t index, const std::string& given) const {
    const std::string_view name = protein::standard_atom_name(chain_.residues[index].type, given);
    if (!chain_.residues[index].mapped || name == given) return name;
    if (name == kTerminalOxygen && !is_last(index)) return given;
    const auto& atoms = at(index).atoms;
    const bool taken = std::any_of(atoms.begin(), atoms.end(),
                                   [&](std::size_t atom) { return topology_.atom_names[atom] == name; });
    return taken ? std::string_view(given) : name;
  }

  bool may_leave_out(std::size_t index, const std::string& atom) const {
    return chain_.residues[index].mapped || (index == 0 && protein::is_first_cap_atom(atom)) ||
           (is_last(index) && protein::is_last_cap_atom(atom));
  }

  void check_counts(std::size_t index, int type, const std::array<int, kAtom14>& seen) {
    const auto& names = protein::atom14_names(type);
    for (std::size_t i = 0; i < kAtom14; ++i) {
      if (names[i].empty() || seen[i] == 1) continue;
      problem(index, "atom " + std::string(names[i]) +
                         (seen[i] == 0 ? " is missing" : " is there " + std::to_string(seen[i]) + " times"));
    }
  }

  void problem(std::size_t index, const std::string& text) {
    problems_.push_back("residue " + label(at(index)) + ": " + text);
  }

  const format::Topology& topology_;
  Chain chain_;
  Selection selection_;
  std::vector<std::string> problems_;
};

// A molecule that is broken in the topology file itself is measured across the boundary.
double link_length(const format::Topology& topology, std::size_t from, std::size_t to) {
  Point link{};
  for (std::size_t axis = 0; axis < 3; ++axis)
    link[axis] = topology.positions[to][axis] - topology.positions[from][axis];
  const std::optional<Images> images = Images::of(topology.cell, 2 * kLongestBond);
  const double across = images ? length(images->shortest(link)) : length(link);
  return across <= kLongestPeptideBond ? across : length(link);
}

void measure_links(const format::Topology& topology, Selection& selection) {
  selection.link_lengths.resize(selection.sequence.size());
  if (topology.positions.empty()) return;
  std::vector<std::size_t> atoms(selection.sequence.size() * kAtom14);
  for (const SelectedAtom& atom : selection.atoms)
    if (atom.slot) atoms[*atom.slot] = atom.index;
  constexpr std::size_t kC = 2;
  for (std::size_t i = 1; i < selection.sequence.size(); ++i) {
    const double length = link_length(topology, atoms[(i - 1) * kAtom14 + kC], atoms[i * kAtom14]);
    selection.link_lengths[i] = length;
    if (length > kLongestPeptideBond)
      selection.notes.push_back(fmt::format("gap in the chain between {} and {}: C-N {:.1f} Å",
                                            selection.residues[i - 1], selection.residues[i], length));
  }
}

}  // namespace

Selection select_atoms(const format::Topology& topology, const std::filesystem::path& file,
                       const SelectionRules& rules) {
  Selector selector(topology, pick_residues(topology, rules, file));
  Selection selection = selector.run();
  const std::vector<std::string>& problems = selector.problems();
  if (problems.empty()) {
    measure_links(topology, selection);
    return selection;
  }
  const std::size_t shown = std::min(problems.size(), kShown);
  refuse(file,
         join(std::span(problems).first(shown), "; ") +
             (problems.size() > shown ? "; and " + std::to_string(problems.size() - shown) + " more" : ""));
}

void check_sequence(const Selection& selection, const std::string& seqres,
                    const std::filesystem::path& file) {
  if (selection.sequence.size() != seqres.size())
    refuse(file, std::to_string(selection.sequence.size()) + " residues, its sequence in the split has " +
                     std::to_string(seqres.size()));
  for (std::size_t i = 0; i < seqres.size(); ++i)
    if (selection.sequence[i] != seqres[i])
      refuse(file, "residue " + selection.residues[i] + " (number " + std::to_string(i + 1) + " of " +
                       std::to_string(seqres.size()) + ") is '" + selection.sequence[i] +
                       "', its sequence in the split has '" + seqres[i] + "'");
}

}  // namespace mdgen::prep
