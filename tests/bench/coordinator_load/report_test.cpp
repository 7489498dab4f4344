#include "tests/bench/coordinator_load/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mdgen::load {
namespace {

using ::testing::HasSubstr;

TEST(Quantiles, AreSamplesByTheirRank) {
  std::vector<float> samples;
  for (int i = 200; i > 0; --i) samples.push_back(static_cast<float>(i));
  const Quantiles found = quantiles(samples);
  EXPECT_EQ(found.count, 200u);
  EXPECT_EQ(found.p50, 100.0);
  EXPECT_EQ(found.p99, 198.0);
  EXPECT_EQ(found.max, 200.0);
  EXPECT_EQ(quantiles({3.0F}).p99, 3.0);
  EXPECT_EQ(quantiles({}).count, 0u);
}

TEST(Latencies, AreTakenPhaseByPhase) {
  Latencies latencies;
  latencies.add(Call::kBeat, std::chrono::milliseconds(5));
  const CallQuantiles first = latencies.take();
  EXPECT_EQ(first[static_cast<std::size_t>(Call::kBeat)].max, 5.0);
  EXPECT_EQ(first[static_cast<std::size_t>(Call::kStep)].count, 0u);
  EXPECT_EQ(latencies.take()[static_cast<std::size_t>(Call::kBeat)].count, 0u);
}

TEST(Fit, FindsThePowerLaw) {
  const PowerLaw law = fit({{64, 3.0 * std::pow(64, 1.5)}, {512, 3.0 * std::pow(512, 1.5)}, {4096, 0}});
  EXPECT_NEAR(law.factor, 3.0, 1e-9);
  EXPECT_NEAR(law.exponent, 1.5, 1e-12);
  EXPECT_EQ(fit({{64, 1.0}}).factor, 0.0) << "one size shows no growth";
}

RunResult result(double cores, double p99, std::int64_t lost) {
  RunResult run;
  run.ranks = 64;
  run.jobs = 8;
  run.lost_heartbeats = lost;
  Phase steady{"steady", 10.0, cores, 0.5, {}};
  steady.calls[static_cast<std::size_t>(Call::kBeat)] = {640, 0.5, p99, 9.0};
  run.phases.push_back(steady);
  return run;
}

TEST(Median, IsTheMiddleOfWhatWasMeasuredAndTheWorstOfWhatFailed) {
  const RunResult middle = median({result(0.3, 7.0, 0), result(0.1, 2.0, 5), result(0.2, 3.0, 0)});
  EXPECT_DOUBLE_EQ(middle.phases[0].coordinator_cores, 0.2);
  EXPECT_DOUBLE_EQ(middle.phases[0].calls[static_cast<std::size_t>(Call::kBeat)].p99, 3.0);
  EXPECT_EQ(middle.lost_heartbeats, 5);
  EXPECT_FALSE(middle.good());
}

TEST(Report, ShowsWhatWasMeasured) {
  const RunResult run = result(0.25, 7.5, 0);
  EXPECT_THAT(table({run}), HasSubstr("7.50"));
  EXPECT_THAT(table({run}), HasSubstr("0 lost heartbeats"));
  const auto json = to_json(run);
  EXPECT_EQ(json["phases"]["steady"]["calls"]["beat"]["count"], 640);
  EXPECT_FALSE(json["phases"]["steady"]["calls"].contains("step")) << "nothing was measured of it";
  EXPECT_EQ(json["good"], true);
}

}  // namespace
}  // namespace mdgen::load
