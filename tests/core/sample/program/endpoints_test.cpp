#include "core/sample/program/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::sample {
namespace {

using ::testing::HasSubstr;

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

Endpoints read(const std::string& text, bool needs_end = true) {
  return Endpoints::from_json(text, "e.json", "x", needs_end);
}

TEST(Endpoints, NegativeFramesCountFromTheEnd) {
  const FramePair pair = Endpoints::sets({0}, {-1}).pair(1, 0, 20);
  EXPECT_EQ(pair.start, 0);
  EXPECT_EQ(pair.end, 19);
  EXPECT_THAT(error_of([] { Endpoints::sets({0}, {20}).pair(1, 0, 20); }), HasSubstr("end_idx 20"));
  EXPECT_THAT(error_of([] { Endpoints::sets({-21}, {0}).pair(1, 0, 20); }), HasSubstr("start_idx -21"));
}

TEST(Endpoints, SetsAreDrawnFromBySeedAndSample) {
  const Endpoints endpoints = Endpoints::sets({1, 2, 3}, {7, 8, 9});
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::uint32_t sample = 0; sample < 200; ++sample) {
    const FramePair pair = endpoints.pair(5, sample, 10);
    EXPECT_EQ(pair.start, endpoints.pair(5, sample, 10).start);
    seen.insert({pair.start, pair.end});
  }
  EXPECT_EQ(seen.size(), 9U);
}

TEST(Endpoints, ReadsAnObjectOfSets) {
  const Endpoints endpoints = read(R"({"x": {"start_idx": 3, "end_idx": [5]}, "y": {}})");
  EXPECT_EQ(endpoints.pair(1, 7, 10).start, 3);
  EXPECT_EQ(endpoints.pair(1, 7, 10).end, 5);
}

TEST(Endpoints, ReadsTheOriginalsMetadataInOrder) {
  const Endpoints endpoints =
      read(R"([{"name": "x", "start_idx": 1, "end_idx": 2, "start_state": 4, "path": "p"},
                                       {"name": "z", "start_idx": 9, "end_idx": 9},
                                       {"name": "x", "start_idx": 3, "end_idx": 4}])");
  EXPECT_EQ(endpoints.pair(1, 0, 10).states.dump(), R"({"start_state":4})");
  EXPECT_EQ(endpoints.pair(1, 1, 10).end, 4);
  EXPECT_EQ(endpoints.pair(1, 2, 10).end, 2);  // round again
}

TEST(Endpoints, WindowsNeedNoEnd) {
  EXPECT_EQ(read(R"({"x": {"start_idx": 3}})", false).pair(1, 0, 10).start, 3);
  // The original's end of a window lies one past its last frame.
  EXPECT_EQ(read(R"([{"name": "x", "start_idx": 3, "end_idx": 10}])", false).pair(1, 0, 10).start, 3);
}

TEST(Endpoints, WhatIsWrongIsNamed) {
  EXPECT_THAT(error_of([] { read(R"({"y": {"start_idx": 0, "end_idx": 1}})"); }),
              HasSubstr("e.json has no frames for x"));
  EXPECT_THAT(error_of([] { read("[]"); }), HasSubstr("e.json has no frames for x"));
  for (const char* text :
       {"{", "3", R"({"x": {"start_idx": 0}})", R"({"x": {"start_idx": [], "end_idx": 1}})",
        R"({"x": {"start_idx": "a", "end_idx": 1}})", R"([{"start_idx": 0}])"})
    EXPECT_THAT(error_of([&] { read(text); }), HasSubstr("e.json: {\"NAME\"")) << text;
}

TEST(Endpoints, AFolderHoldsOneFileAName) {
  testing::TempDir dir;
  replace_file(dir / "x_metadata.json", R"([{"name": "x", "start_idx": 1, "end_idx": 2}])");
  EXPECT_EQ(Endpoints::read(dir.path(), "x", true).pair(1, 0, 10).end, 2);
  EXPECT_THAT(error_of([&] { Endpoints::read(dir.path(), "y", true); }), HasSubstr("y_metadata.json"));
}

TEST(DrawStart, ReachesTheFirstAndTheLastWindow) {
  std::set<std::int64_t> seen;
  for (std::uint32_t sample = 0; sample < 100; ++sample) seen.insert(draw_start(3, sample, 4));
  EXPECT_THAT(seen, ::testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(draw_start(3, 0, 1), 0);
}

}  // namespace
}  // namespace mdgen::sample
