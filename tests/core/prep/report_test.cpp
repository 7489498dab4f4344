#include "core/prep/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/prep/progress.h"

namespace mdgen::prep {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

Report some_report() {
  EntryReport good;
  good.name = "good";
  good.status = Status::kConverted;
  good.sequence = "ACD";
  good.outputs = {{"out/good_R1.npy", "raw/good_R1.xtc", false, "stride 2, was 1", 20, 10, 3, "abc", 1.5}};
  good.notes = {"renamed ASH 83 to ASP"};
  good.warnings = {"1 of 3 replicas present"};
  EntryReport bad;
  bad.name = "bad";
  bad.status = Status::kFailed;
  bad.error = "bad.pdb: no \xff such file";
  return {{good, bad}, false, 2};
}

TEST(Report, Json) {
  const auto json = nlohmann::json::parse(report_json(some_report()));
  EXPECT_EQ(json["counts"]["converted"], 1);
  EXPECT_EQ(json["counts"]["failed"], 1);
  EXPECT_EQ(json["interrupted"], false);
  const auto& good = json["entries"][0];
  EXPECT_EQ(good["status"], "converted");
  EXPECT_EQ(good["residues"], 3);
  EXPECT_EQ(good["files"][0]["frames"], 10);
  EXPECT_EQ(good["files"][0]["reason"], "stride 2, was 1");
  EXPECT_EQ(good["notes"][0], "renamed ASH 83 to ASP");
  EXPECT_EQ(json["entries"][1]["error"], "bad.pdb: no ? such file");
}

TEST(Report, Table) {
  EXPECT_EQ(report_table(some_report()),
            "entry  status       residues  frames  remarks\n"
            "good   converted           3  10      1 of 3 replicas present; broken periodic images mended in "
            "3 of 10 "
            "frames; renamed ASH 83 to ASP\n"
            "bad    failed              -          bad.pdb: no \xff such file\n"
            "prep: 2 entries: 1 converted, 0 unchanged, 1 failed in 2.0 s\n");
}

TEST(Report, GoodWhenNothingIsMissing) {
  Report report = some_report();
  EXPECT_FALSE(report.good());
  report.entries[1].status = Status::kUnchanged;
  EXPECT_TRUE(report.good());
  report.entries[1].status = Status::kNotStarted;
  EXPECT_FALSE(report.good());
}

TEST(Progress, TimeLeftFromTheBytesDone) {
  const Clock::Steady start{};
  Progress progress(4, 1000, start);
  EXPECT_EQ(progress.text(start), "0 of 4 entries, 0 %");
  progress.did(250);
  progress.entry_ended();
  EXPECT_EQ(progress.text(start + seconds(50)), "1 of 4 entries, 25 %, 2 min 30 s left");
  progress.skipped(500);
  EXPECT_EQ(progress.text(start + seconds(50)), "1 of 4 entries, 50 %, 50 s left");
  progress.did(250);
  EXPECT_EQ(progress.text(start + seconds(60)), "1 of 4 entries, 100 %");
  progress.skipped(1'000'000);
  progress.did(5);
  EXPECT_EQ(progress.text(start + seconds(60)), "1 of 4 entries, 100 %");
}

TEST(Progress, Durations) {
  EXPECT_EQ(duration_text(seconds(59)), "59 s");
  EXPECT_EQ(duration_text(seconds(60)), "1 min 0 s");
  EXPECT_EQ(duration_text(seconds(7500)), "2 h 5 min");
}

}  // namespace
}  // namespace mdgen::prep
