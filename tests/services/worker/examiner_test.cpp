#include "services/worker/examiner.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace mdgen::worker {
namespace {

v1::PreflightTask task(std::int64_t attempt) {
  v1::PreflightTask task;
  task.set_job_id("j");
  task.set_attempt(attempt);
  return task;
}

struct ExaminerTest : ::testing::Test {
  Examiner::Say say() {
    return [this](v1::PreflightReport report) {
      const std::lock_guard lock(mutex);
      heard.push_back(std::move(report));
      changed.notify_all();
    };
  }
  void await(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), condition));
  }
  void await_last() {
    await([&] { return !heard.empty() && is_last(heard.back()); });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<v1::PreflightReport> heard;
};

TEST_F(ExaminerTest, FindingsComeInPartsAndWhole) {
  v1::Preflight found;
  for (int i = 0; i < 30'000; ++i) found.add_problems("problem " + std::string(90, 'x') + std::to_string(i));
  Examiner examiner(
      [&](const v1::JobSpec&, const ParallelProgress& progress) {
        EXPECT_TRUE(progress(3, 9));
        return found;
      },
      say());
  for (const std::int64_t attempt : {1, 2}) {
    heard.clear();
    examiner.start(task(attempt));
    await_last();
    ASSERT_GT(heard.size(), 3U);
    EXPECT_EQ(heard[0].progress().examined(), 3);
    std::string bytes;
    for (const v1::PreflightReport& report : heard) {
      EXPECT_EQ(report.attempt(), attempt);
      EXPECT_LE(report.part().bytes().size(), Examiner::kPartBytes);
      bytes += report.part().bytes();
    }
    EXPECT_EQ(bytes, found.SerializeAsString());
  }
}

TEST_F(ExaminerTest, NothingFound_IsOneEmptyPart) {
  Examiner examiner([](const v1::JobSpec&, const ParallelProgress&) { return v1::Preflight(); }, say());
  examiner.start(task(1));
  await_last();
  EXPECT_EQ(heard.size(), 1U);
}

TEST_F(ExaminerTest, Failure_HasReasonAndMessage) {
  Examiner examiner(
      [](const v1::JobSpec&, const ParallelProgress&) -> v1::Preflight {
        throw Error(ErrorCode::kInvalidArgument, "bad checkpoint \xff");
      },
      say());
  examiner.start(task(1));
  await_last();
  EXPECT_EQ(heard.back().failure().reason(), "InvalidArgument");
  EXPECT_EQ(heard.back().failure().message(), "bad checkpoint ?");
}

TEST_F(ExaminerTest, Stop_EndsItAtTheNextLookAtItsProgress) {
  Examiner examiner(
      [](const v1::JobSpec&, const ParallelProgress& progress) -> v1::Preflight {
        while (progress(1, 2)) {
        }
        throw Error(ErrorCode::kAborted, "ended");
      },
      say());
  examiner.start(task(1));
  await([&] { return !heard.empty(); });
  examiner.stop();
  await_last();
  EXPECT_EQ(heard.back().failure().reason(), "Aborted");
}

TEST_F(ExaminerTest, Examine_ReadsTheDataSet) {
  v1::JobSpec spec;
  spec.mutable_data()->set_train_split("/nowhere.csv");
  spec.mutable_data()->set_data_dir("/nowhere");
  spec.mutable_loop()->set_no_validate(true);
  const v1::Preflight found = examine(spec, nullptr);
  EXPECT_EQ(found.problems_size(), 2);
}

}  // namespace
}  // namespace mdgen::worker
