#include "core/prep/selection.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/protein/names.h"
#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

using protein::kAtom14;

constexpr std::size_t kShown = 10;
constexpr std::string_view kTerminalOxygen = "OXT";

std::string label(const format::TopologyResidue& residue) {
  return residue.name + " " + std::to_string(residue.number);
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, file.string() + ": " + reason);
}

void refuse_unknown_residues(const format::Topology& topology, const std::filesystem::path& file) {
  std::map<std::string, std::vector<std::string>> unknown;
  for (const format::TopologyResidue& residue : topology.residues)
    if (protein::residue_type_by_alias(residue.name) < 0) unknown[residue.name].push_back(label(residue));
  if (unknown.empty()) return;
  std::vector<std::string> kinds;
  for (const auto& [name, labels] : unknown)
    kinds.push_back(labels.front() +
                    (labels.size() > 1 ? " and " + std::to_string(labels.size() - 1) + " more " + name : ""));
  refuse(file, "residues that are none of the twenty: " + join(kinds, ", "));
}

void refuse_several_chains(const format::Topology& topology, const std::filesystem::path& file) {
  const format::TopologyResidue& first = topology.residues.front();
  for (const format::TopologyResidue& residue : topology.residues)
    if (residue.chain != first.chain)
      refuse(file, "several chains: '" + first.chain + "' begins with residue " + label(first) + ", '" +
                       residue.chain + "' with residue " + label(residue) +
                       "; one chain a file is supported");
}

// Collects what is wrong with the atoms, so that a person sees more than the first fault.
class Selector {
 public:
  explicit Selector(const format::Topology& topology) : topology_(topology) {}

  Selection run() {
    selection_.topology_atoms = topology_.atom_names.size();
    for (std::size_t i = 0; i < topology_.residues.size(); ++i) add_residue(i);
    std::sort(selection_.atoms.begin(), selection_.atoms.end(),
              [](const SelectedAtom& a, const SelectedAtom& b) { return a.index < b.index; });
    return std::move(selection_);
  }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  void add_residue(std::size_t index) {
    const format::TopologyResidue& residue = topology_.residues[index];
    const int type = protein::residue_type_by_alias(residue.name);
    selection_.sequence += protein::kResidueLetters[static_cast<std::size_t>(type)];
    selection_.residues.push_back(label(residue));
    std::array<int, kAtom14> seen{};
    int terminal_seen = 0;
    for (const std::size_t atom : residue.atoms) {
      const std::string& given = topology_.atom_names[atom];
      if (protein::is_hydrogen(given)) continue;
      const std::string_view name = protein::standard_atom_name(type, given);
      const int place = protein::atom14_index(type, name);
      SelectedAtom selected{atom, index, std::nullopt};
      if (place >= 0) {
        selected.slot = index * kAtom14 + static_cast<std::size_t>(place);
        ++seen.at(static_cast<std::size_t>(place));
      } else if (name == kTerminalOxygen) {
        ++terminal_seen;
      } else {
        problem(index, "atom '" + given + "' is none of its heavy atoms");
      }
      selection_.atoms.push_back(selected);
    }
    check_counts(index, type, seen);
    if (terminal_seen > 1) problem(index, "atom OXT is there " + std::to_string(terminal_seen) + " times");
    if (terminal_seen > 0 && index + 1 < topology_.residues.size())
      problem(index, "atom OXT ends a chain here; one chain a file is supported");
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
    problems_.push_back("residue " + label(topology_.residues[index]) + ": " + text);
  }

  const format::Topology& topology_;
  Selection selection_;
  std::vector<std::string> problems_;
};

}  // namespace

Selection select_atoms(const format::Topology& topology, const std::filesystem::path& file) {
  refuse_unknown_residues(topology, file);
  refuse_several_chains(topology, file);
  Selector selector(topology);
  Selection selection = selector.run();
  const std::vector<std::string>& problems = selector.problems();
  if (problems.empty()) return selection;
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
