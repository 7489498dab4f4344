#include "core/data/content_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/data/array_check.h"

namespace mdgen::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 64;

struct Item {
  const v1::Replica* replica = nullptr;
  std::int32_t residues = 0;
  std::string digest;
  std::string problem;
  bool as_recorded = false;
  bool as_prep_wrote = false;
};

std::vector<Item> items_of(const v1::JobManifest& manifest) {
  std::vector<Item> items;
  std::set<std::string> seen;
  for (const v1::Manifest* set : {&manifest.train(), &manifest.val()})
    for (const v1::ManifestEntry& entry : set->entries())
      for (const v1::Replica& replica : entry.replicas())
        if (seen.insert(replica.file()).second) items.push_back({&replica, entry.residues(), "", ""});
  return items;
}

// "" without a record.
std::string prep_digest(const fs::path& array) {
  const fs::path file = array.parent_path() / ".mdgen-prep" / (array.filename().string() + ".json");
  std::error_code error;
  if (!fs::exists(file, error)) return "";
  return nlohmann::json::parse(read_file(file)).at("array_sha256").get<std::string>();
}

// "" when `was` is unknown or the same.
std::string difference(const fs::path& file, const std::string& is, const std::string& was,
                       const char* whose) {
  if (was.empty() || was == is) return "";
  return file.string() + ": SHA-256 " + is + ", " + whose + " " + was;
}

void check_item(const fs::path& data_dir, const DigestList& recorded, Item& item) {
  const fs::path file = data_dir / item.replica->file();
  try {
    check_unchanged(format::NpyFile(file), *item.replica, item.residues);
    item.digest = sha256_file(file);
    const auto known = recorded.find(item.replica->file());
    const std::string was = known == recorded.end() ? "" : known->second;
    const std::string prep = prep_digest(file);
    item.as_recorded = was == item.digest;
    item.as_prep_wrote = prep == item.digest;
    item.problem = difference(file, item.digest, was, "when it was recorded");
    if (item.problem.empty()) item.problem = difference(file, item.digest, prep, "when mdgen-prep wrote it");
  } catch (const std::exception& error) {
    const std::string text = to_utf8(error.what());
    item.problem = text.starts_with(file.string()) ? text : file.string() + ": " + text;
  }
}

bool is_digest(std::string_view text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string digest_list_text(const DigestList& digests) {
  std::string text;
  for (const auto& [file, digest] : digests) text += digest + "  " + file + "\n";
  return text;
}

DigestList parse_digest_list(std::string_view text, const std::string& source) {
  DigestList digests;
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (line.empty()) continue;
    const bool good = line.size() > kDigits + 2 && is_digest(std::string_view(line).substr(0, kDigits)) &&
                      line[kDigits] == ' ' && (line[kDigits + 1] == ' ' || line[kDigits + 1] == '*');
    if (!good || !digests.emplace(line.substr(kDigits + 2), line.substr(0, kDigits)).second)
      throw Error(ErrorCode::kDataLoss, source + ", line " + std::to_string(number) +
                                            ": not \"<sha256>  <file>\", or a file for the second time");
  }
  return digests;
}

std::string ContentCheck::digest() const { return sha256_hex(digest_list_text(digests)); }

ContentCheck check_content(const fs::path& data_dir, const v1::JobManifest& manifest,
                           const DigestList& recorded, int threads, const ParallelProgress& progress) {
  std::vector<Item> items = items_of(manifest);
  if (!parallel_for(
          items.size(), threads, [&](std::size_t i) { check_item(data_dir, recorded, items[i]); }, progress))
    throw Error(ErrorCode::kAborted, "the data set was not read to its end");
  ContentCheck check;
  check.arrays = static_cast<std::int64_t>(items.size());
  for (const Item& item : items) {
    if (!item.problem.empty()) check.problems.push_back(item.problem);
    if (item.digest.empty()) continue;
    check.digests[item.replica->file()] = item.digest;
    check.bytes += item.replica->bytes();
    check.as_recorded += item.as_recorded;
    check.as_prep_wrote += item.as_prep_wrote;
  }
  return check;
}

}  // namespace mdgen::data
