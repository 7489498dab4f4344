#include "core/train/metrics_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

v1::StepReport step_report(std::int64_t step) {
  v1::StepReport report;
  report.set_step(step);
  report.set_epoch(2);
  report.set_loss(1.0 / 3.0);
  report.set_grad_norm(0.1);
  report.set_lr(1e-4);
  report.set_seconds(0.5);
  report.set_samples(4);
  report.set_tokens(1000);
  return report;
}

TEST(MetricsLine, Step_HasEveryFieldAndExactDoubles) {
  const json line = json::parse(metrics_line(step_report(7)));
  EXPECT_EQ(line["step"], 7);
  EXPECT_EQ(line["epoch"], 2);
  EXPECT_EQ(line["loss"].get<double>(), 1.0 / 3.0);
  EXPECT_EQ(line["grad_norm"].get<double>(), 0.1);
  EXPECT_EQ(line["lr"].get<double>(), 1e-4);
  EXPECT_EQ(line["seconds"].get<double>(), 0.5);
  EXPECT_EQ(line["samples"], 4);
  EXPECT_EQ(line["tokens"], 1000);
  EXPECT_EQ(line["tokens_per_second"].get<double>(), 2000.0);
  EXPECT_FALSE(line.contains("skipped"));
}

TEST(MetricsLine, Step_SaysWhereItsTimeWent) {
  v1::StepReport report = step_report(7);
  EXPECT_FALSE(json::parse(metrics_line(report)).contains("data_seconds"));
  report.mutable_times()->set_data(0.0625);
  report.mutable_times()->set_checkpoint(0.25);
  report.set_flops(2e9);
  const json line = json::parse(metrics_line(report));
  EXPECT_EQ(line["data_seconds"], 0.0625);
  EXPECT_EQ(line["forward_seconds"], 0.0);
  EXPECT_EQ(line["backward_seconds"], 0.0);
  EXPECT_EQ(line["reduce_seconds"], 0.0);
  EXPECT_EQ(line["optimizer_seconds"], 0.0);
  EXPECT_EQ(line["checkpoint_seconds"], 0.25);
  EXPECT_EQ(line["flops"], 2e9);
  EXPECT_EQ(last_place(line.dump() + "\n"), (LinePlace{7, LineKind::kStep}));
}

TEST(MetricsLine, Doubles_SurviveTheRoundTrip) {
  for (double value : {0.1 + 0.2, 1e-310, 5e-324, 1.7976931348623157e308, std::nextafter(1.0, 2.0)}) {
    v1::StepReport report = step_report(1);
    report.set_loss(value);
    EXPECT_EQ(json::parse(metrics_line(report))["loss"].get<double>(), value);
  }
}

TEST(MetricsLine, SkippedStep_SaysSoAndWritesNull) {
  v1::StepReport report = step_report(1);
  report.set_loss(std::numeric_limits<double>::quiet_NaN());
  report.set_skipped(true);
  const json line = json::parse(metrics_line(report));
  EXPECT_TRUE(line["loss"].is_null());
  EXPECT_EQ(line["skipped"], true);
}

TEST(MetricsLine, Validation_HasValLoss) {
  v1::ValidationReport report;
  report.set_step(9);
  report.set_val_loss(0.25);
  report.set_samples(8);
  LogRecord record;
  record.prefix = "val";
  record.means = {{"loss", 0.5}, {"time", 0.75}};
  record.named.numbers["rmsf"] = 1.5;
  record.named.texts["seq_pred"] = {"AG", "CF"};
  record.trainer_step = 9;
  record.iter_step = 30;
  record.count = 4;
  record.lr = 1e-4;
  const json line = json::parse(metrics_line(report, record));
  EXPECT_EQ(line["val_loss"].get<double>(), 0.25) << "the report's: over samples";
  EXPECT_EQ(line["samples"], 8);
  EXPECT_FALSE(line.contains("loss"));
  EXPECT_EQ(line["val_time"], 0.75);
  EXPECT_EQ(line["val_rmsf"], 1.5);
  EXPECT_EQ(line["val_seq_pred"], json({"AG", "CF"}));
  EXPECT_EQ(line["val_count"], 4);
  EXPECT_EQ(line["trainer_step"], 9);
  EXPECT_EQ(line["iter_step"], 30);
  EXPECT_EQ(line["lr"], 1e-4);
}

TEST(KeepUntil, DropsLaterStepsTornAndForeignLines) {
  std::int64_t dropped = -1;
  const std::string kept = keep_until(
      "{\"step\":1,\"loss\":1}\nnoise\n{\"step\":2,\"loss\":1}\n{\"step\":2,\"val_loss\":1}\n"
      "{\"step\":3,\"loss\":1}\n{\"step\":2,\"lo",
      2, dropped);
  EXPECT_EQ(kept, "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":1}\n{\"step\":2,\"val_loss\":1}\n");
  EXPECT_EQ(dropped, 3);
}

TEST(KeepUntil, LastLineWithoutItsEnd_IsDroppedEvenIfItParses) {
  std::int64_t dropped = 0;
  EXPECT_EQ(keep_until("{\"step\":1}\n{\"step\":2}", 5, dropped), "{\"step\":1}\n");
  EXPECT_EQ(dropped, 1);
}

TEST(MetricsLog, Reopened_AppendsAfterTheStep) {
  const mdgen::testing::TempDir folder;
  const auto file = folder / "metrics.jsonl";
  {
    MetricsLog log(file, 0);
    for (int step = 1; step <= 4; ++step) log.append({step}, "{\"step\":" + std::to_string(step) + "}");
  }
  MetricsLog log(file, 2);
  EXPECT_EQ(log.dropped(), 2);
  log.append({3}, "{\"step\":3,\"again\":true}");
  EXPECT_EQ(read_file(file), "{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"again\":true}\n");
}

TEST(MetricsLog, FolderMissing_NamesTheFile) {
  const mdgen::testing::TempDir folder;
  EXPECT_THROW(MetricsLog(folder / "absent" / "metrics.jsonl", 0), Error);
}

}  // namespace
}  // namespace mdgen::train
