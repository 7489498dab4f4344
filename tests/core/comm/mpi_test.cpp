// The logic over MPI, against a fake; the real one is tested between processes (tests/multirank).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>

#include "core/base/error.h"
#include "core/comm/mpi/launch.h"
#include "core/comm/mpi/mpi_collective.h"
#include "tests/support/ranks.h"

namespace mdgen::comm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using How = MpiStart::How;

// A world of one process, whose operations do nothing, or never end, or fail.
class FakeMpi : public MpiApi {
 public:
  std::string init(int& rank, int& world_size) override {
    rank = 0;
    world_size = 1;
    return log("init");
  }
  std::string finalize() override { return log("finalize"); }
  std::string make_communicator(Communicator& communicator) override {
    communicator = std::make_shared<int>(0);
    return log("make_communicator");
  }
  std::string all_reduce(const Communicator&, const at::Tensor&) override {
    if (blocks) never.wait();
    log("all_reduce");
    return error;
  }
  std::string broadcast(const Communicator&, const at::Tensor& tensor, int) override {
    return log(std::string("broadcast ") + c10::toString(tensor.scalar_type()));
  }
  std::string all_gather(const Communicator&, const at::Tensor&, const at::Tensor&) override {
    return log("all_gather");
  }
  std::string all_to_all(const Communicator&, const at::Tensor&, const std::vector<std::int64_t>&,
                         const at::Tensor&, const std::vector<std::int64_t>&) override {
    return log("all_to_all");
  }
  std::string barrier(const Communicator&) override { return log("barrier"); }

  std::string log(const std::string& call) {
    const std::lock_guard lock(mutex);
    calls.push_back(call);
    return "";
  }

  std::atomic<bool> blocks{false};
  std::latch never{1};
  std::string error;
  std::mutex mutex;
  std::vector<std::string> calls;
};

struct MpiTest : ::testing::Test {
  MpiTest() {
    ::setenv("OMPI_COMM_WORLD_RANK", "0", 1);
    ::setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
    ::setenv("PMIX_NAMESPACE", "launched", 1);
  }
  ~MpiTest() override {
    api->never.count_down();
    process.reset();
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_NAMESPACE"}) {
      ::unsetenv(name);
    }
  }
  std::unique_ptr<Collective> make() { return process->make_group(options, exchange.for_rank(0)); }
  Error error_of_all_reduce(Collective& group) {
    try {
      group.all_reduce(at::ones({4}));
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kInternal, "nothing was thrown"};
  }

  testing::MemoryExchange exchange{1};
  CollectiveOptions options;
  std::shared_ptr<FakeMpi> api = std::make_shared<FakeMpi>();
  std::unique_ptr<MpiProcess> process = std::make_unique<MpiProcess>(api);
};

TEST_F(MpiTest, UnderMpirun_StartsOnceAndEndsAsItWants) {
  make();
  make()->broadcast(at::ones({2}, at::kBool), 0);
  process.reset();
  EXPECT_THAT(api->calls, ElementsAre("init", "make_communicator", "barrier", "make_communicator",
                                      "broadcast Byte", "barrier", "finalize"));
}

TEST_F(MpiTest, AnErrorOfMpi_BreaksTheGroup) {
  const auto group = make();
  EXPECT_FALSE(group->supports_abort());
  api->error = "MPI_Allreduce: process failed";
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank 0 of 1: MPI: MPI_Allreduce: process failed"));
  EXPECT_THROW(group->barrier(), Error);
}

TEST_F(MpiTest, Abort_EndsTheWaitThoughMpiGoesOn) {
  const auto group = make();
  api->blocks = true;
  const auto pending = group->all_reduce_async(at::ones({4}));
  const auto later = group->all_reduce_async(at::ones({4}));
  std::thread([&] { group->abort("generation 2 began"); }).join();
  for (Pending* one : {pending.get(), later.get()}) {
    try {
      one->wait();
      FAIL() << "took an aborted result";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kAborted);
      EXPECT_THAT(error.what(), HasSubstr("generation 2 began"));
    }
  }
  EXPECT_THROW(group->barrier(), Error);
}

TEST_F(MpiTest, AnOperationThatNeverEnds_TimesOut) {
  options.timeout = std::chrono::milliseconds(20);
  const auto group = make();
  api->blocks = true;
  const Error error = error_of_all_reduce(*group);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.what(), HasSubstr("not done after 20 ms"));
}

TEST(DecideStart, AllNew_StartByMpirunOrByHosts) {
  const MpiState launched0{"", -1, "job", "a"};
  const MpiState launched1{"", -1, "job", "b"};
  const MpiState spawned{"", -1, "", "c"};
  EXPECT_EQ(decide_start({launched0, launched1}).how, How::kByMpirun);
  EXPECT_EQ(decide_start({launched0, launched1}).world, "job");
  EXPECT_EQ(decide_start({launched0, spawned}).how, How::kByHosts);
  EXPECT_EQ(decide_start({launched0, spawned}).world, "a");
  EXPECT_EQ(decide_start({launched0, {"", -1, "another job", "b"}}).how, How::kByHosts);
}

TEST(DecideStart, AWorldThatRuns_IsTakenAsItIsOrNotAtAll) {
  EXPECT_EQ(decide_start({{"w", 0, "", "a"}, {"w", 1, "", "b"}}).how, How::kRunsAlready);
  const std::vector<std::vector<MpiState>> refused = {
      {{"w", 0, "", "a"}, {"", -1, "", "b"}},  // a new process takes a lost one's place
      {{"w", 1, "", "a"}, {"w", 0, "", "b"}},  // in another order
      {{"w", 1, "", "a"}},                     // fewer
      {{"w", 0, "", "a"}, {"v", 1, "", "b"}}};
  for (const auto& states : refused) {
    try {
      decide_start(states);
      ADD_FAILURE() << "would start MPI again";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
      EXPECT_THAT(error.what(), HasSubstr("another group needs new processes"));
    }
  }
}

TEST(MpiStateText, IsReadBack) {
  const MpiState state = mpi_state_from(to_text({"w\"", 3, "job", "new"}));
  EXPECT_EQ(state.world, "w\"");
  EXPECT_EQ(state.rank, 3);
  EXPECT_EQ(state.mpirun, "job");
  EXPECT_EQ(state.new_name, "new");
  EXPECT_THROW(mpi_state_from("[1]"), Error);
}

}  // namespace
}  // namespace mdgen::comm
