// A split: the CSV of names and sequences. No LibTorch.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace mdgen::data {

struct SplitRow {
  int line = 0;
  std::string name;
  std::string seqres;
};

// What is wrong with a data set, collected so that a person sees all of it at once.
class Problems {
 public:
  // A text that was added before is not repeated: both splits may be one file. Bytes of the files that are no
  // UTF-8 become '?'.
  void add(const std::string& text);
  const std::vector<std::string>& texts() const { return texts_; }
  // Throws Error(kInvalidArgument) with problems_text(); nothing when there are none.
  void throw_if_any() const;

 private:
  std::vector<std::string> texts_;
  std::set<std::string> known_;
};

constexpr std::size_t kShownProblems = 20;
// For people: the first 20 in full, the number of the others, and the file that has them all ("": none has).
std::string problems_text(std::span<const std::string> problems, const std::string& list);

// What is wrong with a sequence: empty, too long, or with a letter that is none of the twenty residues. ""
// when nothing is.
std::string sequence_problem(const std::string& seqres);

// The good rows; the others go to `problems`: no such file, missing column, wrong number of fields, a name
// that is empty, repeated, no UTF-8 or no plain file name, a letter that is none of the twenty residues.
// Columns other than `name` and `seqres` are ignored.
std::vector<SplitRow> read_split(const std::filesystem::path& file, Problems& problems);

}  // namespace mdgen::data
