// What clients may ask of a coordinator, and how they are answered.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "core/base/files.h"
#include "tests/services/coordinator/coordinator_fixture.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;
using access::Caller;
using access::Role;
using ::testing::AllOf;
using testing::CoordinatorTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

const Caller kAnn{"ann", Role::kSubmitter};
const Caller kBob{"bob", Role::kSubmitter};
const Caller kViewer{"eve", Role::kViewer};
const Caller kAdmin{"root", Role::kAdmin};

template <typename Body>
std::string refused(ErrorCode code, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "it was not refused";
  return "";
}

v1::UpdateJobRequest update_of(const std::string& id, int priority) {
  v1::UpdateJobRequest request;
  request.set_id(id);
  request.set_priority(priority);
  return request;
}

TEST_F(CoordinatorTest, OnlyTheOwnerAndAdminsMayChangeAJob) {
  refused(ErrorCode::kPermissionDenied, [&] { coordinator->submit(kViewer, spec("run"), "a"); });
  const std::string id = coordinator->submit(kAnn, spec("run"), "r").id();
  EXPECT_EQ(coordinator->job(id).owner(), "ann");
  const std::vector<std::function<void(const Caller&)>> changes = {
      [&](const Caller& caller) { coordinator->update(caller, update_of(id, 3)); },
      [&](const Caller& caller) { coordinator->pause(caller, id, 1s); },
      [&](const Caller& caller) { coordinator->resume(caller, id, nullptr); },
      [&](const Caller& caller) { coordinator->cancel(caller, id, 0s); },
      [&](const Caller& caller) { coordinator->retry(caller, id, "r2"); },
      [&](const Caller& caller) { coordinator->remove(caller, id); },
      [&](const Caller& caller) { coordinator->submit(caller, spec("run"), "r"); },
  };
  for (const Caller& stranger : {kBob, kViewer})
    for (const auto& change : changes)
      EXPECT_THAT(refused(ErrorCode::kPermissionDenied, [&] { change(stranger); }), HasSubstr(stranger.name));
  EXPECT_EQ(coordinator->update(kAnn, update_of(id, 3)).priority(), 3);
  EXPECT_EQ(coordinator->update(kAdmin, update_of(id, 4)).priority(), 4);
  coordinator->cancel(kAnn, id, 0s);
  coordinator->wait(id, 10s);
  EXPECT_EQ(coordinator->retry(kAdmin, id, "r3").owner(), "ann") << "it stays hers";
  for (const Caller& caller : {kAnn, kBob, kViewer}) {
    refused(ErrorCode::kPermissionDenied, [&] { coordinator->drain_worker(caller, "w"); });
    refused(ErrorCode::kPermissionDenied, [&] { coordinator->inject(caller, id, 0, {}); });
  }
}

TEST_F(CoordinatorTest, ValidateOnlyLeavesNothingBehind) {
  v1::JobSpec wanted = spec("run");
  wanted.set_labels("team=md");
  wanted.set_deadline_seconds(60);
  const v1::Job job = coordinator->submit(kAnn, wanted, "request", true);
  EXPECT_EQ(job.id(), "");
  EXPECT_EQ(job.state(), v1::JOB_STATE_UNSPECIFIED);
  EXPECT_EQ(job.labels().at("team"), "md");
  EXPECT_TRUE(job.has_deadline());
  EXPECT_FALSE(fs::exists(job.run_folder()));
  EXPECT_TRUE(coordinator->list({}).jobs().empty());
  wanted.set_after("nobody");
  refused(ErrorCode::kInvalidArgument, [&] { coordinator->submit(kAnn, wanted, "", true); });
  refused(ErrorCode::kInvalidArgument, [&] { coordinator->submit(kAnn, wanted, ""); });
  EXPECT_FALSE(fs::exists(job.run_folder())) << "refused before anything is written";
  coordinator->submit(kAnn, spec("run"), "request");
  refused(ErrorCode::kAlreadyExists, [&] { coordinator->submit(kAnn, spec("run"), "", true); });
}

std::vector<std::string> names(const v1::ListJobsResponse& page) {
  std::vector<std::string> names;
  for (const v1::Job& job : page.jobs()) names.push_back(job.name());
  return names;
}

TEST_F(CoordinatorTest, ListsByStateNameOwnerAndLabels) {
  const auto submit = [&](const Caller& caller, const std::string& name, const std::string& labels) {
    v1::JobSpec wanted = spec(name);
    wanted.set_labels(labels);
    return coordinator->submit(caller, wanted, name).id();
  };
  const std::string a = submit(kAnn, "pilot-a", "team=md,pilot");
  submit(kAnn, "pilot-b", "team=ml");
  submit(kBob, "other", "team=md");
  coordinator->cancel(kAnn, a, 0s);
  coordinator->wait(a, 10s);
  v1::ListJobsRequest request;
  request.set_name_prefix("pilot-");
  EXPECT_THAT(names(coordinator->list(request)), ElementsAre("pilot-b", "pilot-a"));
  request.add_states(v1::JOB_STATE_CANCELLED);
  request.add_states(v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(names(coordinator->list(request)), ElementsAre("pilot-a"));
  request.Clear();
  request.set_owner("bob");
  EXPECT_THAT(names(coordinator->list(request)), ElementsAre("other"));
  request.Clear();
  request.set_labels("team=md");
  EXPECT_THAT(names(coordinator->list(request)), ElementsAre("other", "pilot-a"));
  request.set_labels("team=md,pilot");
  EXPECT_THAT(names(coordinator->list(request)), ElementsAre("pilot-a"));
  request.set_labels("=");
  EXPECT_THAT(refused(ErrorCode::kInvalidArgument, [&] { coordinator->list(request); }), HasSubstr("labels"));
}

TEST_F(CoordinatorTest, PagesAreStableWhateverIsDeletedMeanwhile) {
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i)
    ids.push_back(coordinator->submit(kAnn, spec("run-" + std::to_string(i)), "").id());
  for (const std::string& id : ids) {
    coordinator->cancel(kAnn, id, 0s);
    coordinator->wait(id, 10s);
  }
  v1::ListJobsRequest request;
  request.set_page_size(2);
  request.set_owner("ann");
  v1::ListJobsResponse page = coordinator->list(request);
  EXPECT_THAT(names(page), ElementsAre("run-5", "run-4"));
  coordinator->remove(kAnn, ids[4]);
  coordinator->remove(kAnn, ids[3]);
  coordinator->submit(kAnn, spec("newer"), "");
  request.set_page_token(page.next_page_token());
  page = coordinator->list(request);
  EXPECT_THAT(names(page), ElementsAre("run-2", "run-1"));
  request.set_page_token(page.next_page_token());
  page = coordinator->list(request);
  EXPECT_THAT(names(page), ElementsAre("run-0"));
  EXPECT_EQ(page.next_page_token(), "") << "no page is left";
  request.set_page_token("nonsense");
  refused(ErrorCode::kInvalidArgument, [&] { coordinator->list(request); });
}

TEST_F(CoordinatorTest, EventsAreReadByTheirSequence) {
  const std::string id = coordinator->submit(kAnn, spec("run"), "").id();
  coordinator->cancel(kAnn, id, 0s);
  coordinator->wait(id, 10s);
  v1::ListEventsRequest request;
  request.set_id("run");
  const v1::ListEventsResponse all = coordinator->events(request);
  ASSERT_GE(all.events_size(), 4);
  EXPECT_EQ(all.dropped(), 0);
  EXPECT_EQ(all.events(0).reason(), "Submitted");
  EXPECT_EQ(all.events(0).actor(), "ann");
  EXPECT_EQ(all.events(all.events_size() - 1).state(), v1::JOB_STATE_CANCELLED);
  request.set_page_size(1);
  request.set_after_sequence(1);
  const v1::ListEventsResponse one = coordinator->events(request);
  ASSERT_EQ(one.events_size(), 1);
  EXPECT_EQ(one.events(0).sequence(), 2);
  request.set_id("nobody");
  refused(ErrorCode::kNotFound, [&] { coordinator->events(request); });
}

TEST_F(CoordinatorTest, RetryContinuesInTheRunFolder) {
  const v1::Job first = coordinator->submit(kAnn, spec("run"), "r1");
  coordinator->cancel(kAnn, first.id(), 0s);
  coordinator->wait(first.id(), 10s);
  EXPECT_EQ(coordinator->submit(kAnn, spec("run"), "r1").id(), first.id());
  fs::create_directories(fs::path(first.run_folder()) / "checkpoints" / "step-00000010.gen-3");
  const v1::Job next = coordinator->retry(kAnn, "run", "r2");
  EXPECT_EQ(next.retry_of(), first.id());
  EXPECT_EQ(next.run_folder(), first.run_folder());
  EXPECT_EQ(coordinator->retry(kAnn, first.id(), "r2").id(), next.id());
  refused(ErrorCode::kFailedPrecondition, [&] { coordinator->retry(kAnn, first.id(), "r3"); });
  refused(ErrorCode::kNotFound, [&] { coordinator->retry(kAnn, "nobody", "r4"); });
}

TEST_F(CoordinatorTest, ADeletedJobIsNotFoundAndItsFolderStays) {
  const v1::Job job = coordinator->submit(kAnn, spec("run"), "");
  refused(ErrorCode::kFailedPrecondition, [&] { coordinator->remove(kAnn, job.id()); });
  coordinator->cancel(kAnn, job.id(), 0s);
  coordinator->wait(job.id(), 10s);
  coordinator->remove(kAnn, job.id());
  refused(ErrorCode::kNotFound, [&] { coordinator->job(job.id()); });
  refused(ErrorCode::kNotFound, [&] { coordinator->remove(kAnn, job.id()); });
  EXPECT_TRUE(fs::exists(fs::path(job.run_folder()) / "spec.yaml"));
  EXPECT_FALSE(store->knows(job.id()));
}

TEST_F(CoordinatorTest, WatchSaysWhatHasChangedSince) {
  const std::string id = coordinator->submit(kAnn, spec("run"), "").id();
  Watched seen = coordinator->watch("run", 0);
  ASSERT_TRUE(seen.job);
  EXPECT_FALSE(seen.ended);
  coordinator->update(kAnn, update_of(id, 9));
  const Watched changed = coordinator->watch(id, seen.version);
  ASSERT_TRUE(changed.job);
  EXPECT_EQ(changed.job->priority(), 9);
  coordinator->cancel(kAnn, id, 0s);
  coordinator->wait(id, 10s);
  const Watched last = coordinator->watch(id, changed.version);
  ASSERT_TRUE(last.job);
  EXPECT_TRUE(last.ended);
  EXPECT_FALSE(coordinator->watch(id, last.version).job) << "nothing new";
  refused(ErrorCode::kNotFound, [&] { coordinator->watch("nobody", 0); });
}

TEST_F(CoordinatorTest, UpdatesAreCheckedAsSpecsAre) {
  const std::string id = coordinator->submit(kAnn, spec("run"), "").id();
  EXPECT_THAT(refused(ErrorCode::kInvalidArgument, [&] { coordinator->update(kAnn, update_of(id, 5000)); }),
              AllOf(HasSubstr("priority"), HasSubstr("5000")));
  v1::UpdateJobRequest request;
  request.set_id(id);
  request.set_labels("a b");
  EXPECT_THAT(refused(ErrorCode::kInvalidArgument, [&] { coordinator->update(kAnn, request); }),
              HasSubstr("labels"));
  request.set_labels("team=ml");
  EXPECT_EQ(coordinator->update(kAnn, request).labels().at("team"), "ml");
}

}  // namespace
}  // namespace mdgen::coordinator
