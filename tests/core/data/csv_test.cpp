#include "core/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::vector<std::string>> fields(const std::string& text) {
  std::vector<std::vector<std::string>> all;
  for (const CsvRow& row : parse_csv(text, "t.csv")) all.push_back(row.fields);
  return all;
}

std::string error_of(const std::string& text) {
  try {
    parse_csv(text, "t.csv");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ParseCsv, PlainRows) {
  EXPECT_THAT(fields("a,b\n1,2\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(fields("a,b\n1,2"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(fields("a,\n,b\n,\n"),
              ElementsAre(ElementsAre("a", ""), ElementsAre("", "b"), ElementsAre("", "")));
  EXPECT_THAT(fields(""), IsEmpty());
}

TEST(ParseCsv, CarriageReturnsByteOrderMarkAndBlankLines) {
  EXPECT_THAT(fields("\xEF\xBB\xBF"
                     "a,b\r\n\r\n1,2\r\n\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
}

TEST(ParseCsv, QuotedFields) {
  EXPECT_THAT(fields("\"a,b\",\"c\"\"d\",\"\"\r\n\"two\nlines\",x,\"y\"\n"),
              ElementsAre(ElementsAre("a,b", "c\"d", ""), ElementsAre("two\nlines", "x", "y")));
}

TEST(ParseCsv, LinesCountLineBreaksInsideQuotes) {
  const auto rows = parse_csv("a\n\"1\n2\n\"\n\nb\n", "t.csv");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[2].line, 6);
}

TEST(ParseCsv, BadQuotes_NameSourceAndLine) {
  EXPECT_EQ(error_of("a\n\"b\nc"), "t.csv, line 2: a quoted field does not end");
  EXPECT_EQ(error_of("a\n\"b\"c\n"), "t.csv, line 2: text after a closing quote");
  EXPECT_EQ(error_of("a\nb\"c\n"), "t.csv, line 2: a quote inside an unquoted field");
}

}  // namespace
}  // namespace mdgen::data
