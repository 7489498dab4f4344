#include "core/protein/names.h"

#include <algorithm>
#include <array>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {
namespace {

struct Name {
  std::string_view residue;
  std::string_view names;  // between blanks
};

constexpr std::array kSameHeavyAtoms = {
    Name{"ARG", " ARN ARGN "},
    Name{"ASP", " ASH ASPH ASPP "},
    Name{"CYS", " CYX CYM CYN CYSH CYS1 CYS2 "},
    Name{"GLU", " GLH GLUH GLUP "},
    Name{"HIS", " HSP HSH HIP HIH HID HIE HSD HSE HIN HISA HISB HISD HISE HISH HISP HIS1 HIS2 "},
    Name{"LYS", " LYN LYP LSN LYSN LYSH "},
    Name{"MET", " MSE "},  // the selenium stands where the sulphur does
    Name{"TYR", " TYM "},
};

constexpr std::array kOtherHeavyAtoms = {
    Name{"ALA", " AYA "},
    Name{"ASN", " MEN "},
    Name{"ASP", " BFD PHD "},
    Name{"CYS", " CAF CAS CME CMT CSD CSO CSS CSX CYG OCS SEC SMC YCM "},
    Name{"GLU", " CGU "},
    Name{"HIS", " HIC MHS NEP "},
    Name{"LYS", " ALY KCX LLP M3L MLY MLZ PYL "},
    Name{"MET", " FME OMT SME "},
    Name{"PRO", " HYP "},
    Name{"SER", " SAC SEP SP1 SP2 "},
    Name{"THR", " TP1 TP2 TPO "},
    Name{"TRP", " HTR TRO TRQ "},
    Name{"TYR", " PTR TP3 TPQ TYS "},
};

constexpr std::string_view kCaps = " ACE ACEH FOR NAC NH2 NHE NMA NME CT3 ";
constexpr std::string_view kFirstCapAtoms = " CAY CY OY ";
constexpr std::string_view kLastCapAtoms = " NT CAT ";

bool holds(std::string_view names, std::string_view name) {
  if (name.empty() || name.find(' ') != std::string_view::npos) return false;
  for (std::size_t at = names.find(name); at != std::string_view::npos; at = names.find(name, at + 1))
    if (names[at - 1] == ' ' && names[at + name.size()] == ' ') return true;
  return false;
}

template <std::size_t size>
std::string_view find(const std::array<Name, size>& table, std::string_view name) {
  for (const Name& row : table)
    if (holds(row.names, name)) return row.residue;
  return "";
}

int type_by_own_or_same(std::string_view name) {
  const std::string_view residue = find(kSameHeavyAtoms, name);
  return residue_type_by_name(residue.empty() ? name : residue);
}

struct Alias {
  std::string_view residue;  // "" for every residue
  std::string_view alias;
  std::string_view name;
};

constexpr std::array kAtomAliases = {
    Alias{"", "O1", "O"},      Alias{"", "OT1", "O"},     Alias{"", "OCT1", "O"},
    Alias{"", "OC1", "O"},     Alias{"", "O2", "OXT"},    Alias{"", "OT2", "OXT"},
    Alias{"", "OCT2", "OXT"},  Alias{"", "OC2", "OXT"},   Alias{"", "OT", "OXT"},
    Alias{"ILE", "CD", "CD1"}, Alias{"SER", "OG1", "OG"}, Alias{"THR", "OG", "OG1"},
    Alias{"THR", "CG", "CG2"}, Alias{"CYS", "SG1", "SG"}, Alias{"ASN", "OD", "OD1"},
    Alias{"ASN", "ND", "ND2"}, Alias{"GLN", "OE", "OE1"}, Alias{"GLN", "NE", "NE2"},
    Alias{"MET", "SE", "SD"},  Alias{"CYS", "SE", "SG"},
};

}  // namespace

int residue_type_by_alias(std::string_view name) {
  const int type = type_by_own_or_same(name);
  const bool terminal = name.size() == 4 && (name[0] == 'N' || name[0] == 'C');
  return type < 0 && terminal ? type_by_own_or_same(name.substr(1)) : type;
}

std::string_view modified_from(std::string_view name) { return find(kOtherHeavyAtoms, name); }

bool is_cap(std::string_view name) { return holds(kCaps, name); }
bool is_first_cap_atom(std::string_view name) { return holds(kFirstCapAtoms, name); }
bool is_last_cap_atom(std::string_view name) { return holds(kLastCapAtoms, name); }

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
