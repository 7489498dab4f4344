#include "core/data/split.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/data/csv.h"
#include "core/protein/residue_constants.h"

namespace mdgen::data {
namespace {

constexpr std::size_t kShown = 20;
constexpr std::size_t kMaxResidues = 1 << 20;  // what the noise's counter can number

std::optional<std::size_t> column(const CsvRow& header, const std::string& name,
                                  const std::filesystem::path& file, Problems& problems) {
  const auto& fields = header.fields;
  const auto found = std::count(fields.begin(), fields.end(), name);
  if (found == 1)
    return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), name) - fields.begin());
  problems.add(file.string() + ": " +
               (found == 0 ? "no column '" + name + "' (the header has: " + join(fields, ", ") + ")"
                           : "column '" + name + "' appears " + std::to_string(found) + " times"));
  return std::nullopt;
}

std::string name_problem(const std::string& name) {
  if (name.empty()) return "the name is empty";
  const bool control = std::any_of(name.begin(), name.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control || name == "." || name.find("..") != std::string::npos ||
      name.find_first_of("/\\") != std::string::npos) {
    return "the name '" + name + "' is not a plain file name (path separators and '..' are refused)";
  }
  if (to_utf8(name) != name)
    return "the name '" + to_utf8(name) + "' is not UTF-8 ('?' stands where it is not)";
  return "";
}

}  // namespace

void Problems::add(const std::string& text) {
  if (known_.insert(text).second) texts_.push_back(to_utf8(text));
}

void Problems::throw_if_any() const {
  if (texts_.empty()) return;
  std::string text =
      "the data set has " + std::to_string(texts_.size()) + (texts_.size() == 1 ? " problem:" : " problems:");
  for (std::size_t i = 0; i < std::min(kShown, texts_.size()); ++i) text += "\n  " + texts_[i];
  if (texts_.size() > kShown) text += "\n  and " + std::to_string(texts_.size() - kShown) + " more";
  throw Error(ErrorCode::kInvalidArgument, text);
}

std::string sequence_problem(const std::string& seqres) {
  if (seqres.empty()) return "the sequence is empty";
  if (seqres.size() >= kMaxResidues) return std::to_string(seqres.size()) + " residues, 1048575 at most";
  for (std::size_t i = 0; i < seqres.size(); ++i) {
    if (protein::residue_type(seqres[i]) >= 0) continue;
    return std::string("letter '") + seqres[i] + "' at residue " + std::to_string(i + 1) +
           " is none of the twenty residues (" + std::string(protein::kResidueLetters) + ")";
  }
  return "";
}

std::vector<SplitRow> read_split(const std::filesystem::path& file, Problems& problems) {
  std::vector<CsvRow> rows;
  try {
    rows = parse_csv(read_file(file), file.string());
  } catch (const Error& error) {
    problems.add(error.what());
    return {};
  }
  if (rows.empty()) {
    problems.add(file.string() + ": empty; a header with the columns name,seqres is expected");
    return {};
  }
  const auto name = column(rows[0], "name", file, problems);
  const auto seqres = column(rows[0], "seqres", file, problems);
  if (!name || !seqres) return {};
  if (rows.size() == 1) problems.add(file.string() + ": no entries after the header");

  std::vector<SplitRow> good;
  std::map<std::string, int> first_line;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const CsvRow& row = rows[i];
    const std::string place = file.string() + ", line " + std::to_string(row.line);
    if (row.fields.size() != rows[0].fields.size()) {
      problems.add(place + ": " + std::to_string(row.fields.size()) + " fields, the header has " +
                   std::to_string(rows[0].fields.size()));
      continue;
    }
    const SplitRow entry{row.line, row.fields[*name], row.fields[*seqres]};
    if (const std::string problem = name_problem(entry.name); !problem.empty()) {
      problems.add(place + ": " + problem);
      continue;
    }
    const auto [earlier, is_new] = first_line.emplace(entry.name, row.line);
    if (!is_new) {
      problems.add(place + ": the name '" + entry.name + "' is on line " + std::to_string(earlier->second) +
                   " already");
      continue;
    }
    if (const std::string problem = sequence_problem(entry.seqres); !problem.empty()) {
      problems.add(place + " (" + entry.name + "): " + problem);
      continue;
    }
    good.push_back(entry);
  }
  return good;
}

}  // namespace mdgen::data
