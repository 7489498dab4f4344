#include "services/coordinator/run_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "core/base/error.h"
#include "services/coordinator/metric_series.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<double> values_of(const std::vector<MetricPoint>& points) {
  std::vector<double> values;
  for (const MetricPoint& point : points) values.push_back(point.value);
  return values;
}

TEST(DownSample, KeepsEndsAndExtremes) {
  std::vector<MetricPoint> points;
  for (int step = 1; step <= 1000; ++step) points.push_back({step, std::sin(step * 0.01)});
  points[333].value = 50;
  points[777].value = -50;
  const auto kept = down_sample(points, 20);
  EXPECT_LE(kept.size(), 20U);
  EXPECT_EQ(kept.front().step, 1);
  EXPECT_EQ(kept.back().step, 1000);
  EXPECT_THAT(values_of(kept), ::testing::Contains(50.0));
  EXPECT_THAT(values_of(kept), ::testing::Contains(-50.0));
  for (std::size_t i = 1; i < kept.size(); ++i) EXPECT_LT(kept[i - 1].step, kept[i].step);
  EXPECT_EQ(down_sample(points, 1000).size(), 1000U);
  EXPECT_EQ(down_sample(points, 1).back().step, 1000) << "the newest, when there is room for one";
}

TEST(MetricSeriesInMemory, IsBoundedAndKeepsExtremesAndTheNewest) {
  MetricSeries series;
  constexpr int kSteps = 300'000;
  for (int step = 1; step <= kSteps; ++step) series.add({step, step == 12'345 ? 99.0 : 1.0 + 1.0 / step});
  EXPECT_LT(series.bytes(), 200'000U);
  const auto all = series.points(-1, 1000);
  EXPECT_LE(all.size(), 1000U);
  EXPECT_EQ(all.front().step, 1);
  EXPECT_EQ(all.back().step, kSteps);
  EXPECT_THAT(values_of(all), ::testing::Contains(99.0));
  const auto newest = series.points(kSteps - 10, 1000);
  ASSERT_EQ(newest.size(), 10U) << "the newest are all there";
  EXPECT_EQ(newest.front().step, kSteps - 9);
}

TEST(MetricSeriesInMemory, TellsWhatWasNotFinite) {
  MetricSeries series;
  for (int step = 1; step <= 10'000; ++step)
    series.add({step, step == 77 ? std::numeric_limits<double>::infinity() : 1.0});
  const auto points = series.points(-1, 100);
  EXPECT_EQ(std::count_if(points.begin(), points.end(), [](auto& p) { return std::isnan(p.value); }), 1);
}

struct Metrics : ::testing::Test {
  void append(const std::string& text) { std::ofstream(file(), std::ios::app) << text; }
  void replace(const std::string& text) {
    std::ofstream(folder / "new") << text;
    std::filesystem::rename(folder / "new", file());
  }
  std::filesystem::path file() const { return folder / "metrics.jsonl"; }
  v1::GetMetricsResponse get(const v1::GetMetricsRequest& request = {}) {
    return metrics.get(folder.path(), request);
  }
  std::vector<std::int64_t> steps(const std::string& name, const v1::GetMetricsRequest& request = {}) {
    const v1::GetMetricsResponse all = get(request);
    for (const v1::MetricSeries& series : all.series())
      if (series.name() == name) return {series.steps().begin(), series.steps().end()};
    return {};
  }
  testing::TempDir folder;
  RunMetrics metrics;
};

TEST_F(Metrics, AreSeriesByName) {
  append(R"({"step":1,"epoch":0,"loss":0.5,"lr":1e-4,"samples":4,"skipped":true,"names":["a"]})"
         "\n"
         R"({"step":2,"epoch":0,"loss":null,"lr":1e-4,"samples":4})"
         "\n"
         R"({"step":2,"epoch":0,"val_loss":0.75,"samples":8,"inner":{"step":9,"loss":9}})"
         "\n");
  const auto all = get();
  EXPECT_EQ(all.last_step(), 2);
  std::vector<std::string> names;
  for (const auto& series : all.series()) names.push_back(series.name());
  EXPECT_THAT(names, UnorderedElementsAre("epoch", "loss", "lr", "samples", "val_loss"));
  v1::GetMetricsRequest some;
  some.add_names("loss");
  some.add_names("nobody");
  const auto loss = get(some);
  ASSERT_EQ(loss.series_size(), 1);
  EXPECT_THAT(loss.series(0).steps(), ElementsAre(1, 2));
  EXPECT_EQ(loss.series(0).values(0), 0.5);
  EXPECT_TRUE(std::isnan(loss.series(0).values(1)));
  some.set_after_step(1);
  EXPECT_THAT(steps("loss", some), ElementsAre(2));
}

TEST_F(Metrics, GoOnWhereTheyWere) {
  EXPECT_EQ(get().series_size(), 0) << "there is no file yet";
  append("{\"step\":1,\"loss\":1}\n{\"step\":2,\"lo");
  EXPECT_THAT(steps("loss"), ElementsAre(1)) << "a last line may be half there";
  append("ss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(1, 2));
  append("{\"step\":3,\"loss\":1}\nno json\n[]\n7\n{\"loss\":8}\n{\"step\":4,\"loss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(1, 2, 3, 4));
}

TEST_F(Metrics, KnowAFileThatWasWrittenAnew) {
  append("{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(1, 2));
  replace("{\"step\":1,\"loss\":1}\n");  // as a resume does
  EXPECT_THAT(steps("loss"), ElementsAre(1));
  append("{\"step\":7,\"loss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(1, 7));
  std::filesystem::resize_file(file(), 0);
  EXPECT_THAT(steps("loss"), ElementsAre());
  append("{\"step\":3,\"loss\":1}\n{\"step\":4,\"loss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(3, 4));
  std::ofstream(file()) << "{\"step\":5,\"loss\":2}\n{\"step\":6,\"loss\":2}\n{\"step\":8,\"loss\":2}\n";
  EXPECT_THAT(steps("loss"), ElementsAre(5, 6, 8)) << "the same file, longer, with another beginning";
  std::filesystem::remove(file());
  EXPECT_EQ(get().series_size(), 0);
}

TEST_F(Metrics, TakeLinesOfAnyLength) {
  append("{\"step\":1,\"loss\":1,\"text\":\"" + std::string(3 << 20, 'x') + "\"}\n{\"step\":2,\"loss\":1}\n");
  EXPECT_THAT(steps("loss"), ElementsAre(1, 2));
}

TEST_F(Metrics, RefuseWhatMakesNoSense) {
  v1::GetMetricsRequest request;
  request.set_max_points(-1);
  EXPECT_THROW(get(request), Error);
  request.set_max_points(0);
  request.set_after_step(-1);
  EXPECT_THROW(get(request), Error);
}

TEST(RunMetricsInMemory, AreThoseOfTheRunsAskedForLast) {
  testing::TempDir folder;
  RunMetrics metrics(2);
  for (const char* name : {"a", "b", "a", "c"}) {
    std::filesystem::create_directories(folder / name);
    std::ofstream(folder / name / "metrics.jsonl", std::ios::app) << "{\"step\":1,\"loss\":1}\n";
    EXPECT_EQ(metrics.get(folder / name, {}).series_size(), 1);
    EXPECT_LE(metrics.runs(), 2U);
  }
}

}  // namespace
}  // namespace mdgen::coordinator
