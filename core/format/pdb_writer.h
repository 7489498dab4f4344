// Models in the PDB format (version 3.3: wwpdb.org/documentation/file-format). No LibTorch.
#pragma once

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/format/partial_file.h"

namespace mdgen::format {

struct AtomRecord {
  std::string name;     // "CA"
  std::string element;  // "C"
  std::string residue;  // "ALA"
  int residue_number = 1;
  char chain = 'A';
};

// Writes a file with one model, or with many, each between MODEL and ENDMDL, its chain closed by TER. Nobody
// sees the file before publish(). Throws Error naming file, frame and atom. One thread at a time.
class PdbWriter {
 public:
  enum class Models { kOne, kMany };

  // Throws Error(kInvalidArgument) for more atoms or residues than the columns hold (99,999 and 9,999).
  PdbWriter(const std::filesystem::path& file, std::vector<AtomRecord> atoms, Models models);
  ~PdbWriter();

  // A model, positions in Å by atom. Throws Error(kInvalidArgument) for one that its eight columns cannot
  // hold (-999.999 … 9999.999) and for one that is not finite.
  void append(std::span<const std::array<double, 3>> positions);
  // END, sync, and the name.
  void publish();

 private:
  void line(const std::string& text);

  struct Close {
    void operator()(std::FILE* stream) const { std::fclose(stream); }
  };
  std::vector<AtomRecord> atoms_;
  Models models_;
  int written_ = 0;
  PartialFile file_;
  std::unique_ptr<std::FILE, Close> stream_;
};

}  // namespace mdgen::format
