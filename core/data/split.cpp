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

constexpr std::size_t kShownBytes = 100;  // of a file's own text
constexpr std::uintmax_t kMaxBytes = std::uintmax_t{1} << 30;
constexpr std::size_t kMaxResidues = 1 << 20;  // what the noise's counter can number

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// A file's own text, for a message: one line, not too long.
std::string shown(const std::string& text) {
  std::string line = text.substr(0, kShownBytes);
  std::replace_if(line.begin(), line.end(), is_control, '?');
  return text.size() > kShownBytes ? line + "…" : line;
}

// "" for a file that can be read to its end.
std::string file_problem(const std::filesystem::path& file) {
  std::error_code error;
  const auto kind = std::filesystem::status(file, error).type();
  if (kind == std::filesystem::file_type::not_found || kind == std::filesystem::file_type::none) return "";
  if (kind != std::filesystem::file_type::regular)
    return kind == std::filesystem::file_type::directory ? "a folder, a CSV file is expected"
                                                         : "no regular file, a CSV file is expected";
  const std::uintmax_t bytes = std::filesystem::file_size(file, error);
  return error || bytes <= kMaxBytes ? "" : "larger than 1 GiB: this is no split";
}

std::optional<std::size_t> column(const CsvRow& header, const std::string& name,
                                  const std::filesystem::path& file, Problems& problems) {
  const auto& fields = header.fields;
  const auto found = std::count(fields.begin(), fields.end(), name);
  if (found == 1)
    return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), name) - fields.begin());
  problems.add(file.string() + ": " +
               (found == 0 ? "no column '" + name + "' (the header has: " + shown(join(fields, ", ")) + ")"
                           : "column '" + name + "' appears " + std::to_string(found) + " times"));
  return std::nullopt;
}

std::string name_problem(const std::string& name) {
  if (name.empty()) return "the name is empty";
  const bool control = std::any_of(name.begin(), name.end(), is_control);
  if (control || name == "." || name.find("..") != std::string::npos ||
      name.find_first_of("/\\") != std::string::npos) {
    return "the name '" + shown(name) + "' is not a plain file name (path separators and '..' are refused)";
  }
  if (to_utf8(name) != name)
    return "the name '" + to_utf8(shown(name)) + "' is not UTF-8 ('?' stands where it is not)";
  return "";
}

}  // namespace

void Problems::add(const std::string& text) {
  if (known_.insert(text).second) texts_.push_back(to_utf8(text));
}

void Problems::throw_if_any() const {
  if (!texts_.empty()) throw Error(ErrorCode::kInvalidArgument, problems_text(texts_, ""));
}

std::string problems_text(std::span<const std::string> problems, const std::string& list) {
  std::string text = "the data set has " + std::to_string(problems.size()) +
                     (problems.size() == 1 ? " problem:" : " problems:");
  const auto first = problems.first(std::min(kShownProblems, problems.size()));
  for (const std::string& problem : first) text += "\n  " + problem;
  if (first.size() < problems.size())
    text += "\n  and " + std::to_string(problems.size() - first.size()) + " more";
  return list.empty() ? text : text + "\nThe whole list is in " + list;
}

std::string sequence_problem(const std::string& seqres) {
  if (seqres.empty()) return "the sequence is empty";
  if (seqres.size() >= kMaxResidues) return std::to_string(seqres.size()) + " residues, 1048575 at most";
  for (std::size_t i = 0; i < seqres.size(); ++i) {
    if (protein::residue_type(seqres[i]) >= 0) continue;
    const char upper = seqres[i] >= 'a' && seqres[i] <= 'z' ? static_cast<char>(seqres[i] - 'a' + 'A') : '\0';
    const bool lower_case = upper != '\0' && protein::residue_type(upper) >= 0;
    return "letter '" + shown(seqres.substr(i, 1)) + "' at residue " + std::to_string(i + 1) +
           (lower_case ? std::string(" is in lower case, '") + upper + "' is expected"
                       : " is none of the twenty residues (" + std::string(protein::kResidueLetters) + ")");
  }
  return "";
}

std::vector<SplitRow> read_split(const std::filesystem::path& file, Problems& problems) {
  if (const std::string problem = file_problem(file); !problem.empty()) {
    problems.add(file.string() + ": " + problem);
    return {};
  }
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
      problems.add(place + ": the name '" + shown(entry.name) + "' is on line " +
                   std::to_string(earlier->second) + " already");
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
