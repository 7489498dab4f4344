#include "core/base/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace mdgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

std::string refusal(const std::string& text) {
  try {
    parse_labels("workers.selector", text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(Labels, AreWordsWithOrWithoutAValue) {
  EXPECT_THAT(parse_labels("x", "gpu=h200, zone = a,cheap"),
              UnorderedElementsAre(Pair("gpu", "h200"), Pair("zone", "a"), Pair("cheap", "")));
  EXPECT_TRUE(parse_labels("x", "").empty());
  EXPECT_TRUE(parse_labels("x", "  ").empty());
  EXPECT_EQ(labels_text(parse_labels("x", "zone=a,cheap,gpu=h200")), "cheap,gpu=h200,zone=a");
}

TEST(Labels, WhatIsNoneIsRefusedByName) {
  EXPECT_THAT(refusal("gpu=h200,=a"), AllOf(HasSubstr("workers.selector"), HasSubstr("\"=a\"")));
  EXPECT_THAT(refusal("gpu=h200,"), HasSubstr("\"\" is no label"));
  EXPECT_THAT(refusal("gpu = h 200"), HasSubstr("h 200"));
  EXPECT_THAT(refusal("gpu!=a"), HasSubstr("gpu!=a"));
  EXPECT_THAT(refusal("a=b=c"), HasSubstr("a=b=c"));
  EXPECT_THAT(refusal("a=1,a=2"), HasSubstr("twice"));
  EXPECT_THAT(refusal(std::string(64, 'k')), HasSubstr("63"));
}

TEST(Labels, SelectByKeyAndByValueWhereThereIsOne) {
  const Labels worker = parse_labels("x", "gpu=h200,zone=a");
  EXPECT_TRUE(has_labels(worker, parse_labels("x", "gpu=h200")));
  EXPECT_TRUE(has_labels(worker, parse_labels("x", "gpu")));
  EXPECT_TRUE(has_labels(worker, {}));
  EXPECT_FALSE(has_labels(worker, parse_labels("x", "gpu=a100")));
  EXPECT_FALSE(has_labels(worker, parse_labels("x", "gpu=h200,zone=b")));
  EXPECT_FALSE(has_labels(worker, parse_labels("x", "rack")));
}

}  // namespace
}  // namespace mdgen
