#include "services/client/table.h"

#include <algorithm>
#include <stdexcept>

#include "services/client/format.h"

namespace mdgen::client {
namespace {

std::string line_of(const std::vector<Cell>& row, const std::vector<std::size_t>& widths, const Look& look) {
  std::string line;
  std::size_t gap = 0;  // spaces owed before the next column that is not empty
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (widths[i] == 0) continue;
    if (!row[i].text.empty()) {
      line += std::string(gap, ' ') + tinted(row[i].text, row[i].tint, look);
      gap = 0;
    }
    gap += widths[i] - width_of(row[i].text) + 2;
  }
  return line + "\n";
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  if (row.size() != heads_.size()) throw std::logic_error("a table's row has not as many cells as heads");
  for (Cell& cell : row) cell.text = one_line(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths(heads_.size());
  for (const std::vector<Cell>& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i].text));
  for (std::size_t i = 0; i < widths.size(); ++i)
    if (widths[i] > 0) widths[i] = std::max(widths[i], width_of(heads_[i]));
  return widths;
}

std::string Table::text(const Look& look) const {
  const std::vector<std::size_t> columns = widths();
  std::vector<Cell> heads;
  for (const std::string& head : heads_) heads.emplace_back(head, Tint::kHead);
  std::string text = line_of(heads, columns, look);
  for (const std::vector<Cell>& row : rows_) text += line_of(row, columns, look);
  return text;
}

}  // namespace mdgen::client
