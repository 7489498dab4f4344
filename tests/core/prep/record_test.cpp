#include "core/prep/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "tests/support/temp_dir.h"

namespace mdgen::prep {
namespace {

using ::testing::HasSubstr;

class RecordTest : public ::testing::Test {
 protected:
  RecordTest() {
    put("a.pdb", "topology");
    put("a.xtc", "trajectory");
    put("out/a.npy", "array");
    Record record;
    record.topology = identify(dir_ / "a.pdb");
    record.trajectory = identify(dir_ / "a.xtc");
    record.residue_names = {"ALA", "YPL"};
    record.options = options_text(options_, rules_, record.residue_names);
    record.sequence = "AC";
    record.frames_read = 10;
    record.frames = 5;
    record.array_bytes = 5;
    record.array_sha256 = sha256_hex("array");
    record.notes = {"a note"};
    write_record(dir_ / "out/a.npy", record);
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << text;
  }
  // "" when the array is the one that would be made again.
  std::string why() {
    const auto found = find_current(dir_ / "out/a.npy", identify(dir_ / "a.pdb"), identify(dir_ / "a.xtc"),
                                    options_, rules_);
    const auto* reason = std::get_if<std::string>(&found);
    return reason == nullptr ? "" : reason->empty() ? "absent" : *reason;
  }
  testing::TempDir dir_;
  ConvertOptions options_;
  SelectionRules rules_;
};

TEST_F(RecordTest, TheSameInputsOptionsAndArray) {
  EXPECT_EQ(why(), "");
  const auto found =
      find_current(dir_ / "out/a.npy", identify(dir_ / "a.pdb"), identify(dir_ / "a.xtc"), options_, rules_);
  const Record& record = std::get<Record>(found);
  EXPECT_EQ(record.sequence, "AC");
  EXPECT_EQ(record.frames_read, 10U);
  EXPECT_EQ(record.frames, 5U);
  EXPECT_EQ(record.notes, std::vector<std::string>{"a note"});
}

TEST_F(RecordTest, ADamagedArrayOfTheSameSize) {
  put("out/a.npy", "Array");
  EXPECT_THAT(why(), HasSubstr("another size or SHA-256"));
  std::filesystem::remove(dir_ / "out/a.npy");
  EXPECT_EQ(why(), "absent");
}

TEST_F(RecordTest, ChangedSources) {
  put("a.xtc", "trajectory and more");
  EXPECT_THAT(why(), HasSubstr("a.xtc has 19 bytes, had 10"));
  put("a.xtc", "Trajectory");
  EXPECT_THAT(why(), HasSubstr("a.xtc has other content"));
  put("a.xtc", "trajectory");
  std::filesystem::last_write_time(dir_ / "a.xtc",
                                   std::filesystem::last_write_time(dir_ / "a.pdb") - std::chrono::hours(1));
  EXPECT_THAT(why(), HasSubstr("a.xtc was modified since"));
  put("a.pdb", "Topology");
  EXPECT_THAT(why(), HasSubstr("a.pdb has other content"));
}

TEST_F(RecordTest, EachOptionThatDecidesOnTheArray) {
  const auto with = [&](auto change) {
    const ConvertOptions options = options_;
    const SelectionRules rules = rules_;
    change();
    const std::string reason = why();
    options_ = options;
    rules_ = rules;
    return reason;
  };
  EXPECT_EQ(with([&] { options_.stride = 40; }), "stride 40, was 1");
  EXPECT_EQ(with([&] { options_.half = false; }), "dtype \"float32\", was \"float16\"");
  EXPECT_EQ(with([&] { options_.unwrap = true; }), "unwrap true, was false");
  EXPECT_EQ(with([&] { options_.center = false; }), "center false, was true");
  EXPECT_EQ(with([&] { rules_.chain = "A"; }), "chain \"A\", was null");
  EXPECT_EQ(with([&] { rules_.parents = {{"YPL", "CYS"}}; }), "map {\"YPL\":\"CYS\"}, was {}");
  EXPECT_EQ(with([&] { rules_.drop = {"YPL"}; }), "drop [\"YPL\"], was []");
  EXPECT_EQ(with([&] { rules_.parents = {{"LRT", "LYS"}}; }), "") << "the topology has none";
  EXPECT_EQ(with([&] { rules_.drop = {"HOH"}; }), "");
}

TEST_F(RecordTest, WithoutAReadableRecord) {
  put("out/.mdgen-prep/a.npy.json", "{\"format\": 1");
  EXPECT_THAT(why(), HasSubstr("cannot be read"));
  put("out/.mdgen-prep/a.npy.json", "{\"format\": 2}");
  EXPECT_THAT(why(), HasSubstr("cannot be read"));
  std::filesystem::remove_all(dir_ / "out/.mdgen-prep");
  EXPECT_THAT(why(), HasSubstr("no record"));
}

TEST_F(RecordTest, BothEndsOfALongFileCount) {
  std::string bytes(300'000, 'x');
  put("long", bytes);
  const std::string before = identify(dir_ / "long").ends_sha256;
  for (const std::size_t at : {std::size_t{0}, bytes.size() - 1}) {
    bytes[at] = 'y';
    put("long", bytes);
    EXPECT_NE(identify(dir_ / "long").ends_sha256, before);
    bytes[at] = 'x';
  }
  EXPECT_THROW(identify(dir_ / "absent"), Error);
}

}  // namespace
}  // namespace mdgen::prep
