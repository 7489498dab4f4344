// How an array was made, kept beside it, so that a later run knows whether it would make the same one again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/prep/convert.h"
#include "core/prep/residues.h"

namespace mdgen::prep {

// Enough of a file to know it again without reading all of it.
struct FileIdentity {
  std::string path;  // for people; not compared
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::string ends_sha256;       // of the first and the last 64 KiB
};

// Throws Error naming the file.
FileIdentity identify(const std::filesystem::path& file);

struct Record {
  FileIdentity topology;
  FileIdentity trajectory;
  std::string options;                  // JSON, as options_text() makes it
  std::set<std::string> residue_names;  // all that the topology has: rules for others do not matter
  std::string sequence;
  std::size_t frames_read = 0;
  std::size_t frames = 0;  // in the array
  std::size_t mended = 0;  // frames with broken periodic images
  std::uint64_t array_bytes = 0;
  std::string array_sha256;
  std::vector<std::string> notes;
};

// What of the options decides on the array's bytes, the version of the procedure among it. Rules for residues
// that the topology has not are left out.
std::string options_text(const ConvertOptions& options, const SelectionRules& rules,
                         const std::set<std::string>& residue_names);

// {outdir}/.mdgen-prep/{array's name}.json.
std::filesystem::path record_file(const std::filesystem::path& array);
void write_record(const std::filesystem::path& array, const Record& record);

// The record when it says that the very array that is there would be made again; else why not, for people.
// Reads the array to compare its digest.
std::variant<Record, std::string> find_current(const std::filesystem::path& array,
                                               const FileIdentity& topology, const FileIdentity& trajectory,
                                               const ConvertOptions& options, const SelectionRules& rules);

}  // namespace mdgen::prep
