#include "services/coordinator/job_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/base/error.h"

namespace mdgen::coordinator {
namespace {

// The table of docs/coordinator.md, written a second time.
const std::map<std::string, std::set<std::string>> kDocumented = {
    {"UNSPECIFIED", {"VALIDATING"}},
    {"VALIDATING", {"QUEUED", "FAILED", "CANCELLED"}},
    {"QUEUED", {"STARTING", "PAUSED", "FAILED", "CANCELLED"}},
    {"STARTING", {"RUNNING", "RECOVERING", "CANCELLING", "FAILED"}},
    {"RUNNING", {"RECOVERING", "CHECKPOINTING", "PAUSING", "CANCELLING", "SUCCEEDED", "FAILED"}},
    {"RECOVERING", {"STARTING", "QUEUED", "CHECKPOINTING", "PAUSING", "CANCELLING", "FAILED", "CANCELLED"}},
    {"CHECKPOINTING", {"QUEUED", "RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED"}},
    {"PAUSING", {"PAUSED", "RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED"}},
    {"PAUSED", {"QUEUED", "FAILED", "CANCELLED"}},
    {"CANCELLING", {"CANCELLED", "SUCCEEDED", "FAILED"}},
};

std::vector<v1::JobState> all_states() {
  std::vector<v1::JobState> states;
  for (int number = v1::JobState_MIN; number <= v1::JobState_MAX; ++number)
    states.push_back(static_cast<v1::JobState>(number));
  return states;
}

TEST(JobState, EveryPairIsLegalOrRefusedByName) {
  int legal = 0;
  for (const v1::JobState from : all_states()) {
    for (const v1::JobState to : all_states()) {
      const auto row = kDocumented.find(state_name(from));
      const bool expected = row != kDocumented.end() && row->second.contains(state_name(to));
      EXPECT_EQ(can_follow(from, to), expected) << state_name(from) << " -> " << state_name(to);
      legal += expected ? 1 : 0;
      if (expected) {
        EXPECT_NO_THROW(check_transition("job1", from, to));
        continue;
      }
      try {
        check_transition("job1", from, to);
        FAIL() << state_name(from) << " -> " << state_name(to);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("job1"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr(state_name(from)));
        EXPECT_THAT(error.what(), ::testing::HasSubstr(state_name(to)));
      }
    }
  }
  EXPECT_EQ(static_cast<int>(state_edges().size()), legal) << "an edge stands twice in the table";
}

TEST(JobState, NothingFollowsAFinalState) {
  for (const v1::JobState state : all_states()) {
    if (!is_final(state)) continue;
    for (const v1::JobState next : all_states()) EXPECT_FALSE(can_follow(state, next));
  }
  EXPECT_TRUE(is_final(v1::JOB_STATE_SUCCEEDED));
  EXPECT_FALSE(is_final(v1::JOB_STATE_RECOVERING));
}

// Likewise.
const std::map<Request, std::set<std::string>> kAllowed = {
    {Request::kCancel,
     {"VALIDATING", "QUEUED", "STARTING", "RUNNING", "RECOVERING", "CHECKPOINTING", "PAUSING", "PAUSED",
      "CANCELLING"}},
    {Request::kPause, {"QUEUED", "STARTING", "RUNNING", "RECOVERING", "PAUSING"}},
    {Request::kResume, {"PAUSED"}},
    {Request::kUpdate,
     {"VALIDATING", "QUEUED", "STARTING", "RUNNING", "RECOVERING", "CHECKPOINTING", "PAUSING", "PAUSED"}},
    {Request::kRetry, {"FAILED", "CANCELLED"}},
    {Request::kRemove, {"SUCCEEDED", "FAILED", "CANCELLED"}},
    {Request::kInject, {"STARTING", "RUNNING", "RECOVERING", "CHECKPOINTING", "PAUSING"}},
};

TEST(Requests, AreAllowedByStateOrRefusedNamingStateAndGoal) {
  ASSERT_EQ(request_rules().size(), kAllowed.size());
  for (const RequestRule& rule : request_rules()) {
    for (const v1::JobState state : all_states()) {
      const bool expected = kAllowed.at(rule.request).contains(state_name(state));
      EXPECT_EQ(may_ask(state, rule.request), expected) << rule.what << " in " << state_name(state);
      if (expected) {
        EXPECT_NO_THROW(check_request("job1", state, rule.request));
        continue;
      }
      try {
        check_request("job1", state, rule.request);
        FAIL() << rule.what << " in " << state_name(state);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("job1 is " + state_name(state)));
        if (rule.wanted == v1::JOB_STATE_UNSPECIFIED) continue;
        EXPECT_THAT(error.what(), ::testing::HasSubstr("become " + state_name(rule.wanted)));
      }
    }
  }
}

TEST(Requests, TheRefusalSaysWhoCan) {
  try {
    check_request("job1", v1::JOB_STATE_RUNNING, Request::kRetry);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "job job1 is RUNNING: it cannot be retried (and become VALIDATING); only one that is FAILED or "
        "CANCELLED can");
  }
}

}  // namespace
}  // namespace mdgen::coordinator
