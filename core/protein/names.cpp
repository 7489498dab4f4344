#include "core/protein/names.h"

#include <algorithm>
#include <array>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {
namespace {

struct Alias {
  std::string_view residue;  // "" for every residue
  std::string_view alias;
  std::string_view name;
};

constexpr std::array kResidueAliases = {
    Alias{"", "CYX", "CYS"}, Alias{"", "HSP", "HIS"}, Alias{"", "HSH", "HIS"},
    Alias{"", "HIP", "HIS"}, Alias{"", "HIH", "HIS"}, Alias{"", "HID", "HIS"},
    Alias{"", "HIE", "HIS"}, Alias{"", "HSD", "HIS"}, Alias{"", "HSE", "HIS"},
};

constexpr std::array kAtomAliases = {
    Alias{"", "O1", "O"},      Alias{"", "OT1", "O"},     Alias{"", "OCT1", "O"},
    Alias{"", "OC1", "O"},     Alias{"", "O2", "OXT"},    Alias{"", "OT2", "OXT"},
    Alias{"", "OCT2", "OXT"},  Alias{"", "OC2", "OXT"},   Alias{"", "OT", "OXT"},
    Alias{"ILE", "CD", "CD1"}, Alias{"SER", "OG1", "OG"}, Alias{"THR", "OG", "OG1"},
    Alias{"THR", "CG", "CG2"}, Alias{"CYS", "SG1", "SG"}, Alias{"ASN", "OD", "OD1"},
    Alias{"ASN", "ND", "ND2"}, Alias{"GLN", "OE", "OE1"}, Alias{"GLN", "NE", "NE2"},
};

}  // namespace

int residue_type_by_alias(std::string_view name) {
  for (const Alias& alias : kResidueAliases)
    if (alias.alias == name) return residue_type_by_name(alias.name);
  return residue_type_by_name(name);
}

std::string_view standard_atom_name(int residue_type, std::string_view name) {
  const std::string_view residue = residue_name(residue_type);
  for (const Alias& alias : kAtomAliases)
    if (alias.alias == name && (alias.residue.empty() || alias.residue == residue)) return alias.name;
  return name;
}

bool is_hydrogen(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of("0123456789"), name.size()));
  return name.starts_with('H') || name.starts_with('D');
}

}  // namespace mdgen::protein
