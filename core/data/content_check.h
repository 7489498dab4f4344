// What is in a data set's arrays, byte for byte: SHA-256 of each, on demand. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/parallel.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// File, relative to data_dir -> SHA-256.
using DigestList = std::map<std::string, std::string>;

// As sha256sum writes and checks it: "<sha256>  <file>\n", by name.
std::string digest_list_text(const DigestList& digests);
// Throws Error(kDataLoss) naming `source` and the line.
DigestList parse_digest_list(std::string_view text, const std::string& source);

struct ContentCheck {
  DigestList digests;                 // of the arrays that could be read
  std::vector<std::string> problems;  // a line each, naming the file; in the manifest's order
  std::int64_t arrays = 0;
  std::int64_t bytes = 0;          // that were read
  std::int64_t as_recorded = 0;    // arrays whose digest is in `recorded`
  std::int64_t as_prep_wrote = 0;  // arrays whose digest mdgen-prep's record has
  std::string digest() const;      // SHA-256 of digest_list_text()
};

// Reads every array of the manifest wholly, `threads` at a time. Problems: an array that cannot be read, is
// not what the manifest says (array_check.h), or has another digest than `recorded` says, or than
// mdgen-prep's record beside it ({data_dir}/.mdgen-prep/{file}.json).
ContentCheck check_content(const std::filesystem::path& data_dir, const v1::JobManifest& manifest,
                           const DigestList& recorded, int threads,
                           const ParallelProgress& progress = nullptr);

}  // namespace mdgen::data
