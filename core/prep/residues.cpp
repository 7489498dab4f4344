#include "core/prep/residues.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/protein/names.h"
#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

using format::Topology;
using format::TopologyResidue;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, file.string() + ": " + reason);
}

// Residues of one name, gathered for a message.
class Kinds {
 public:
  void add(const TopologyResidue& residue, const std::string& remark = "") {
    auto& kind = kinds_[residue.name];
    if (kind.count++ == 0) kind = {label(residue), 1, remark};
  }
  bool empty() const { return kinds_.empty(); }
  // "ASH 83 to ASP", "HSD 12 and 5 more HSD to HIS".
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const auto& [name, kind] : kinds_)
      lines.push_back(kind.first +
                      (kind.count > 1 ? " and " + std::to_string(kind.count - 1) + " more " + name : "") +
                      kind.remark);
    return lines;
  }
  std::string text() const { return join(lines(), ", "); }

 private:
  struct Kind {
    std::string first;
    std::size_t count = 0;
    std::string remark;
  };
  std::map<std::string, Kind> kinds_;
};

bool in_chain(const TopologyResidue& residue, const std::string& wanted) {
  if (residue.chain == wanted) return true;
  const std::vector<std::string> parts = split(residue.chain, '/');
  return std::find(parts.begin(), parts.end(), wanted) != parts.end();
}

// "'A' (163 residues from MET 1), 'B' (…)", in the file's order.
std::string list_chains(const Topology& topology, const std::vector<std::size_t>& residues) {
  struct Part {
    std::string chain, first;
    std::size_t count = 0;
  };
  std::vector<Part> parts;
  for (const std::size_t index : residues) {
    const TopologyResidue& residue = topology.residues[index];
    auto part =
        std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.chain == residue.chain; });
    if (part == parts.end()) part = parts.insert(part, {residue.chain, label(residue), 0});
    ++part->count;
  }
  std::vector<std::string> texts;
  for (const Part& part : parts)
    texts.push_back("'" + part.chain + "' (" + std::to_string(part.count) +
                    (part.count == 1 ? " residue, " : " residues from ") + part.first + ")");
  return join(texts, ", ");
}

class Picker {
 public:
  Picker(const Topology& topology, const SelectionRules& rules, const std::filesystem::path& file)
      : topology_(topology), rules_(rules), file_(file) {
    for (std::size_t i = 0; i < topology.residues.size(); ++i) kept_.push_back(i);
  }

  Chain run() {
    pick_chain();
    leave_out_dropped();
    leave_out_caps();
    if (kept_.empty()) refuse(file_, "no residue is left");
    refuse_several_chains();
    find_types();
    return std::move(chain_);
  }

 private:
  const TopologyResidue& at(std::size_t index) const { return topology_.residues[index]; }

  void pick_chain() {
    if (!rules_.chain) return;
    const std::vector<std::size_t> all = kept_;
    std::erase_if(kept_, [&](std::size_t i) { return !in_chain(at(i), *rules_.chain); });
    if (kept_.empty()) refuse(file_, "--chain " + *rules_.chain + ": it has " + list_chains(topology_, all));
    if (kept_.size() < all.size())
      chain_.notes.push_back("chain '" + *rules_.chain + "' of " + list_chains(topology_, all));
  }

  void leave_out_dropped() {
    Kinds dropped;
    std::erase_if(kept_, [&](std::size_t i) {
      if (rules_.drop.count(at(i).name) == 0) return false;
      dropped.add(at(i));
      return true;
    });
    if (!dropped.empty()) chain_.notes.push_back("left out as --drop says: " + dropped.text());
  }

  bool is_cap(std::size_t index) const {
    return protein::is_cap(at(index).name) && rules_.parents.count(at(index).name) == 0;
  }

  void leave_out_caps() {
    Kinds caps;
    if (!kept_.empty() && is_cap(kept_.front())) {
      caps.add(at(kept_.front()));
      kept_.erase(kept_.begin());
    }
    if (!kept_.empty() && is_cap(kept_.back())) {
      caps.add(at(kept_.back()));
      kept_.pop_back();
    }
    if (!caps.empty()) chain_.notes.push_back("left out the caps: " + caps.text());
  }

  void refuse_several_chains() const {
    const auto other = std::find_if(kept_.begin(), kept_.end(),
                                    [&](std::size_t i) { return at(i).chain != at(kept_.front()).chain; });
    if (other != kept_.end())
      refuse(file_, "several chains: " + list_chains(topology_, kept_) + "; --chain picks one");
    const auto cap = std::find_if(kept_.begin(), kept_.end(), [&](std::size_t i) { return is_cap(i); });
    if (cap != kept_.end())
      refuse(file_,
             "the cap " + label(at(*cap)) +
                 " lies between residues: several chains without identifiers, of which one alone can be "
                 "converted");
  }

  void find_types() {
    Kinds unknown;
    Kinds renamed;
    for (const std::size_t index : kept_) {
      const TopologyResidue& residue = at(index);
      const auto rule = rules_.parents.find(residue.name);
      const bool mapped = rule != rules_.parents.end();
      const int type =
          mapped ? protein::residue_type_by_name(rule->second) : protein::residue_type_by_alias(residue.name);
      if (type < 0) {
        unknown.add(residue, hint(residue.name));
        continue;
      }
      if (protein::residue_name(type) != residue.name)
        renamed.add(residue, " to " + std::string(protein::residue_name(type)));
      chain_.residues.push_back({index, type, mapped});
    }
    if (!unknown.empty())
      refuse(file_, "residues that are none of the twenty: " + unknown.text() +
                        " (--map NAME=PARENT makes one of the twenty of them, --drop NAME leaves them out)");
    if (!renamed.empty()) chain_.notes.push_back("renamed " + renamed.text());
  }

  static std::string hint(const std::string& name) {
    const std::string_view parent = protein::modified_from(name);
    return parent.empty() ? "" : " (made from " + std::string(parent) + ")";
  }

  const Topology& topology_;
  const SelectionRules& rules_;
  const std::filesystem::path& file_;
  std::vector<std::size_t> kept_;
  Chain chain_;
};

}  // namespace

std::string label(const TopologyResidue& residue) {
  return residue.name + " " + std::to_string(residue.number);
}

Chain pick_residues(const Topology& topology, const SelectionRules& rules,
                    const std::filesystem::path& file) {
  return Picker(topology, rules, file).run();
}

}  // namespace mdgen::prep
