#include "core/data/csv.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace mdgen::data {
namespace {

class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  std::vector<CsvRow> read() {
    if (text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF"))
      reject("UTF-16 text; save it as UTF-8");
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      if (end_of_line()) continue;
      rows.push_back({line_, {}});
      do {
        rows.back().fields.push_back(text_.substr(at_).starts_with('"') ? quoted() : plain());
      } while (accept(','));
      if (at_ < text_.size() && !end_of_line()) reject("text after a closing quote");
    }
    return rows;
  }

 private:
  bool accept(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool end_of_line() {
    if (text_.substr(at_).starts_with("\r\n") || text_.substr(at_) == "\r") ++at_;
    if (at_ < text_.size() && !accept('\n')) return false;
    ++line_;
    return true;
  }
  std::string plain() {
    const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    std::string_view field = text_.substr(at_, end - at_);
    at_ = end;
    if (field.ends_with('\r') && !text_.substr(end).starts_with(',')) field.remove_suffix(1);
    if (field.find('"') != std::string_view::npos) reject("a quote inside an unquoted field");
    if (field.find('\0') != std::string_view::npos) reject("a zero byte: this is no text");
    if (field.find('\r') != std::string_view::npos)
      reject("a carriage return without a line feed; lines end with LF or CRLF");
    return std::string(field);
  }
  std::string quoted() {
    const int begin = line_;
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        if (at_ >= text_.size() || text_[at_] != '"') return field;
      }
      line_ += text_[at_] == '\n';
      field += text_[at_];
    }
    line_ = begin;
    reject("a quoted field does not end");
  }
  [[noreturn]] void reject(const std::string& reason) const {
    throw Error(ErrorCode::kInvalidArgument, source_ + ", line " + std::to_string(line_) + ": " + reason);
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& source) {
  return CsvReader(text, source).read();
}

}  // namespace mdgen::data
