#include "core/sample/program/selection.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::sample {

using data::SplitRow;

std::vector<SplitRow> chunk_of(const std::vector<SplitRow>& rows, int chunk, int chunks) {
  const std::size_t parts = static_cast<std::size_t>(chunks);
  const std::size_t index = static_cast<std::size_t>(chunk);
  const std::size_t longer = rows.size() % parts;
  const std::size_t length = rows.size() / parts;
  const auto begin = static_cast<std::ptrdiff_t>(index * length + std::min(index, longer));
  return {rows.begin() + begin,
          rows.begin() + begin + static_cast<std::ptrdiff_t>(length + (index < longer))};
}

std::vector<SplitRow> select(const std::vector<SplitRow>& rows, const std::vector<SplitRow>& all,
                             const std::vector<std::string>& names) {
  if (names.empty()) return rows;
  std::vector<std::string> known;
  for (const SplitRow& row : all) known.push_back(row.name);
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = nearest_name(name, known);
    throw Error(ErrorCode::kInvalidArgument, "--pdb_id " + name + ": not in the split" +
                                                 (nearest.empty() ? "" : "; did you mean " + nearest + "?"));
  }
  std::vector<SplitRow> chosen;
  for (const SplitRow& row : rows)
    if (std::find(names.begin(), names.end(), row.name) != names.end()) chosen.push_back(row);
  return chosen;
}

std::vector<std::vector<SplitRow>> group_by_length(const std::vector<SplitRow>& rows, std::size_t size) {
  std::vector<std::vector<SplitRow>> groups;
  std::map<std::size_t, std::size_t> open;  // length -> the group that has room
  for (const SplitRow& row : rows) {
    const auto found = open.find(row.seqres.size());
    if (found != open.end() && groups[found->second].size() < size) {
      groups[found->second].push_back(row);
      continue;
    }
    open[row.seqres.size()] = groups.size();
    groups.push_back({row});
  }
  return groups;
}

}  // namespace mdgen::sample
