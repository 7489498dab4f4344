// Comma-separated values (RFC 4180): quoted fields with commas, doubled quotes and line breaks; LF or CRLF; a
// byte order mark is skipped, and so are blank lines. No LibTorch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mdgen::data {

struct CsvRow {
  int line = 0;  // where it starts, from 1
  std::vector<std::string> fields;
};

// All rows, the header first. Throws Error(kInvalidArgument) naming `source` and the line: a quote that does
// not end, text after a closing quote, a quote or a zero byte inside an unquoted field, a carriage return
// that ends no line, UTF-16.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& source);

}  // namespace mdgen::data
