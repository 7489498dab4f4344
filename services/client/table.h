// Rows with aligned columns. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/client/look.h"

namespace mdgen::client {

struct Cell {
  Cell(std::string content, Tint colour = Tint::kNone) : text(std::move(content)), tint(colour) {}
  Cell(const char* content) : text(content) {}
  std::string text;
  Tint tint = Tint::kNone;
};

class Table {
 public:
  explicit Table(std::vector<std::string> heads) : heads_(std::move(heads)) {}

  // As many cells as heads. Control characters in them become spaces.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // With the heads on top; a column that is empty in every row is left out. No spaces at the ends of lines.
  std::string text(const Look& look) const;

 private:
  std::vector<std::size_t> widths() const;  // 0: left out

  std::vector<std::string> heads_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace mdgen::client
