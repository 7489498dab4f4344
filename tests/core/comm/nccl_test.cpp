// The logic over NCCL, against a fake that runs everywhere; and the real one where there is a GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/error.h"
#include "core/comm/gradient_reducer.h"
#include "core/comm/nccl/nccl_collective.h"

namespace mdgen::comm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = NcclStatus::Kind;

const NcclStatus kOk{};
const NcclStatus kInProgress{Kind::kInProgress, ""};

// Answers as it is told and writes down the calls (but for the polling ones).
class FakeNccl : public NcclApi {
 public:
  NcclStatus make_unique_id(std::string& id) override {
    id = "the id";
    return log("make_unique_id");
  }
  NcclStatus init(Communicator& communicator, int world_size, const std::string& id, int rank) override {
    communicator = this;
    log("init " + id + " " + std::to_string(rank) + "/" + std::to_string(world_size));
    return init_result;
  }
  NcclStatus async_state(Communicator) override {
    if (state_polls_in_progress > 0) {
      --state_polls_in_progress;
      return kInProgress;
    }
    return state;
  }
  NcclStatus all_reduce(Communicator, const at::Tensor&) override { return log("all_reduce"); }
  NcclStatus broadcast(Communicator, const at::Tensor& tensor, int root) override {
    return log(std::string("broadcast ") + c10::toString(tensor.scalar_type()) + " from " +
               std::to_string(root));
  }
  NcclStatus all_gather(Communicator, const at::Tensor& input, const at::Tensor& output) override {
    const at::NoGradGuard no_grad;
    output.copy_(input.unsqueeze(0).expand_as(output));
    return log("all_gather");
  }
  NcclStatus all_to_all(Communicator, const at::Tensor&, const std::vector<std::int64_t>&, const at::Tensor&,
                        const std::vector<std::int64_t>&) override {
    return log("all_to_all");
  }
  NcclStatus record(Event& event) override {
    event = std::make_shared<int>(0);
    return kOk;
  }
  NcclStatus query(const Event&) override {
    if (on_query) on_query();
    return query_result;
  }
  NcclStatus finalize(Communicator) override { return log("finalize"); }
  NcclStatus destroy(Communicator) override { return log("destroy"); }
  NcclStatus abort(Communicator) override { return log("abort"); }

  NcclStatus log(const std::string& call) {
    calls.push_back(call);
    return kOk;
  }

  NcclStatus init_result = kInProgress;
  NcclStatus state = kOk;
  int state_polls_in_progress = 3;
  NcclStatus query_result = kOk;
  std::function<void()> on_query;
  std::vector<std::string> calls;
};

class TurnableClock : public Clock {
 public:
  Steady steady() const override { return now; }
  Wall wall() const override { return Wall(); }
  Steady now;
};

struct NcclTest : ::testing::Test {
  NcclTest() {
    options.world_size = 2;
    options.timeout = std::chrono::seconds(100);
    options.forming_timeout = std::chrono::seconds(60);
    timing.clock = clock;
    timing.pause = [this] { clock->now += std::chrono::seconds(1); };
  }

  std::unique_ptr<Collective> make() {
    return make_nccl_collective(
        api, options,
        [this](const std::string& key, const std::string& blob) {
          posted = key + "=" + blob;
          return std::vector<std::string>{"the id", ""};
        },
        timing);
  }

  Error error_of_all_reduce(Collective& group) {
    try {
      group.all_reduce(at::ones({4}));
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kInternal, "nothing was thrown"};
  }

  Error error_of_forming() {
    try {
      make();
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kInternal, "nothing was thrown"};
  }

  std::shared_ptr<FakeNccl> api = std::make_shared<FakeNccl>();
  std::shared_ptr<TurnableClock> clock = std::make_shared<TurnableClock>();
  CollectiveOptions options;
  NcclTiming timing;
  std::string posted;
};

TEST_F(NcclTest, Forming_RankZero_PostsTheId) {
  make();
  EXPECT_EQ(posted, "nccl/id=the id");
  EXPECT_THAT(api->calls, ElementsAre("make_unique_id", "init the id 0/2", "finalize", "destroy"));
}

TEST_F(NcclTest, Forming_OtherRanks_TakeRankZerosId) {
  options.rank = 1;
  make();
  EXPECT_EQ(posted, "nccl/id=");
  EXPECT_THAT(api->calls, ElementsAre("init the id 1/2", "finalize", "destroy"));
}

TEST_F(NcclTest, Forming_AFailure_AbortsAndTellsNcclsText) {
  api->init_result = {Kind::kFailed, "ncclCommInitRankConfig: out of memory"};
  const Error error = error_of_forming();
  EXPECT_EQ(error.code(), ErrorCode::kInternal);
  EXPECT_THAT(error.what(), HasSubstr("forming the group on rank 0 of 2"));
  EXPECT_THAT(error.what(), HasSubstr("out of memory"));
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
}

TEST_F(NcclTest, Forming_WithoutPeers_EndsAtItsTimeout) {
  api->state = kInProgress;
  const Error error = error_of_forming();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("not done after 60000 ms"));
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
}

TEST_F(NcclTest, Forming_ThatNeverEnds_IsCancelledAndAborted) {
  api->state = kInProgress;
  int asked = 0;
  options.cancelled = [&] { return ++asked == 5; };
  const Error error = error_of_forming();
  EXPECT_EQ(error.code(), ErrorCode::kAborted);
  EXPECT_THAT(error.what(), HasSubstr("forming the group on rank 0 of 2: cancelled"));
  EXPECT_THAT(api->calls, ElementsAre("make_unique_id", "init the id 0/2", "abort"));
}

TEST_F(NcclTest, Enqueuing_AnErrorWhilePolling_IsThePeersAndAborts) {
  const auto group = make();
  api->state_polls_in_progress = 2;
  api->state = {Kind::kPeerLost, "remote process exited"};
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("remote process exited"));
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
}

// Whoever comes first: the result is the sum or Aborted, NCCL is aborted once, and nothing reaches it after.
TEST_F(NcclTest, Abort_RacingTheEnd_TakesNothingAfterIt) {
  timing.pause = [] { std::this_thread::yield(); };
  int taken = 0;
  for (int trial = 0; trial < 300; ++trial) {
    api = std::make_shared<FakeNccl>();
    const auto group = make();
    std::atomic<int> polls{0};
    api->query_result = kInProgress;
    api->on_query = [&] {
      if (++polls >= trial % 7) api->query_result = kOk;
    };
    std::atomic<bool> waited{false};
    const std::unique_ptr<Pending> pending = group->all_reduce_async(at::ones({4}));
    std::thread aborter([&] {
      while (polls < trial % 5 && !waited) std::this_thread::yield();
      group->abort("generation 7 began");
    });
    try {
      pending->wait();
      ++taken;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kAborted);
    }
    waited = true;
    aborter.join();
    EXPECT_THROW(group->barrier(), Error);
    EXPECT_EQ(api->calls.back(), "abort");
    EXPECT_THAT(api->calls, Contains("abort").Times(1));
  }
  EXPECT_LT(taken, 300);
}

TEST_F(NcclTest, AllReduce_WaitsForTheDevice) {
  const auto group = make();
  int polls = 0;
  api->query_result = kInProgress;
  api->on_query = [&] {
    if (++polls == 5) api->query_result = kOk;
  };
  group->all_reduce(at::ones({4}));
  EXPECT_EQ(polls, 5);
  EXPECT_THAT(api->calls, Contains("all_reduce").Times(1));
}

TEST_F(NcclTest, AllReduce_ACommunicatorErrorAtTheEnd_IsNotMissed) {
  const auto group = make();
  api->on_query = [&] { api->state = {Kind::kPeerLost, "remote process exited"}; };
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank 0 of 2: NCCL: remote process exited"));
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
}

TEST_F(NcclTest, AllReduce_ACudaError_IsInternal) {
  const auto group = make();
  api->query_result = {Kind::kFailed, "cudaEventQuery: an illegal memory access was encountered"};
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kInternal);
  EXPECT_THAT(error.what(), HasSubstr("illegal memory access"));
}

TEST_F(NcclTest, AllReduce_ThatNeverEnds_TimesOut) {
  const auto group = make();
  api->query_result = kInProgress;
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("not done after 100000 ms"));
}

// The operation is at its end when the abort comes: its buffer may hold garbage all the same.
TEST_F(NcclTest, Abort_WhileWaiting_WinsOverADoneDevice) {
  const auto group = make();
  const std::unique_ptr<Pending> pending = group->all_reduce_async(at::ones({4}));
  std::thread([&] { group->abort("generation 7 began"); }).join();
  try {
    pending->wait();
    FAIL() << "took an aborted result";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kAborted);
    EXPECT_THAT(error.what(), HasSubstr("generation 7 began"));
  }
}

TEST_F(NcclTest, Abort_FromAnotherThread_EndsABlockedWait) {
  timing.pause = [] { std::this_thread::yield(); };  // the clock stands still: only the abort can end it
  const auto group = make();
  api->query_result = kInProgress;
  std::thread aborter;
  api->on_query = [&] {
    if (!aborter.joinable()) aborter = std::thread([&] { group->abort("enough"); });
  };
  const Error error = error_of_all_reduce(*group);
  aborter.join();
  EXPECT_EQ(error.code(), ErrorCode::kAborted);
  EXPECT_THAT(error.what(), HasSubstr("enough"));
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
}

TEST_F(NcclTest, AfterAnAbort_NothingReachesNcclAnyMore) {
  const auto group = make();
  group->abort("enough");
  const std::size_t calls = api->calls.size();
  EXPECT_EQ(error_of_all_reduce(*group).code(), ErrorCode::kAborted);
  EXPECT_THROW(group->barrier(), Error);
  EXPECT_THROW(group->broadcast(at::ones({1}), 0), Error);
  EXPECT_EQ(api->calls.size(), calls);
}

TEST_F(NcclTest, Destruction_WithAnUnfinishedOperation_Aborts) {
  {
    const auto group = make();
    group->all_reduce_async(at::ones({4}));
  }
  EXPECT_THAT(api->calls, Contains("abort").Times(1));
  EXPECT_THAT(api->calls, Not(Contains("finalize")));
}

TEST_F(NcclTest, Booleans_TravelAsBytes) {
  const auto group = make();
  group->broadcast(at::ones({3}, at::kBool), 1);
  EXPECT_THAT(api->calls, Contains("broadcast Byte from 1"));
  const std::vector<at::Tensor> all = group->all_gather(at::ones({3}, at::kBool));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[1].equal(at::ones({3}, at::kBool)));
}

TEST_F(NcclTest, EmptyTensors_AreNotSent) {
  const auto group = make();
  group->all_reduce(at::empty({0}));
  group->broadcast(at::empty({0}), 0);
  EXPECT_EQ(group->all_gather(at::empty({0, 2})).size(), 2U);
  EXPECT_THAT(api->calls, Not(Contains("all_reduce")));
}

TEST_F(NcclTest, ATensorElsewhere_IsRefusedByName) {
  options.device = at::Device(at::kCUDA, 0);
  const auto group = make();
  try {
    group->all_reduce(at::ones({4}));
    FAIL() << "took a tensor of the CPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("cuda:0"));
  }
}

// --- the real NCCL, alone ---

std::unique_ptr<Collective> alone_on_the_gpu() {
  CollectiveOptions options;
  options.device = at::Device(at::kCUDA, 0);
  return make_collective(
      options, [](const std::string&, const std::string& blob) { return std::vector<std::string>{blob}; });
}

TEST(NcclOnGpu, OneRank_DoesEveryOperation) {
  try {
    load_cuda();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(error.what(), ::testing::AnyOf(HasSubstr(".so"), HasSubstr("no CUDA device")));
    GTEST_SKIP() << error.what();
  }
  const auto group = alone_on_the_gpu();
  const auto on_gpu = at::TensorOptions().device(at::kCUDA);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong, at::kByte, at::kBFloat16}) {
    const at::Tensor tensor = at::full({1000}, 3, on_gpu.dtype(type));
    group->all_reduce(tensor);
    EXPECT_TRUE(tensor.eq(3).all().item<bool>()) << c10::toString(type);
    group->broadcast(tensor, 0);
    EXPECT_TRUE(group->all_gather(tensor).at(0).equal(tensor));
  }
  group->barrier();

  const at::Tensor parameter = at::ones({100}, on_gpu).requires_grad_(true);
  GradientReducer reducer({parameter}, *group);
  reducer.start_step();
  reducer.start_last_backward();
  parameter.mul(2).sum().backward();
  reducer.finish_step();
  EXPECT_TRUE(reducer.flat().eq(2).all().item<bool>());

  group->abort("done");
  EXPECT_THROW(group->barrier(), Error);
}

}  // namespace
}  // namespace mdgen::comm
