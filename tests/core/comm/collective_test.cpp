// What every backend must do, over the backends that run everywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <barrier>
#include <latch>
#include <tuple>

#include "tests/support/collective_backends.h"
#include "tests/support/conformance.h"

namespace mdgen::comm {
namespace {

using ::testing::AnyOf;
using testing::Backend;
using testing::error_of;
using ::testing::HasSubstr;
using testing::run_group;
using testing::run_group_or_throw;

// --- conformance.h, over every backend that runs on threads ---

using Conformance = ::testing::TestWithParam<std::tuple<Backend, testing::ConformanceCase>>;

TEST_P(Conformance, Holds) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto& [backend, one] = GetParam();
  std::barrier<> together(backend.world_size);
  const auto thrown =
      run_group(backend, [&](Collective& group) { one.body(group, [&] { together.arrive_and_wait(); }); });
  for (const std::exception_ptr& error : thrown) {
    EXPECT_FALSE(error) << error_of(error).what();
  }
}

std::vector<Conformance::ParamType> conformance_of(const std::vector<Backend>& backends) {
  std::vector<Conformance::ParamType> params;
  for (const Backend& backend : backends)
    for (const testing::ConformanceCase& one : testing::conformance_cases())
      if (backend.world_size > 1 || !one.needs_peers) params.emplace_back(backend, one);
  return params;
}

const std::vector<Backend> kBackends = {{"local", 1}, {"local", 3}, {"gloo", 2},
                                        {"gloo", 3},  {"nccl", 1},  {"nccl", 3}};

INSTANTIATE_TEST_SUITE_P(Backends, Conformance, ::testing::ValuesIn(conformance_of(kBackends)),
                         [](const auto& info) {
                           return testing::name_of(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param).name;
                         });

// --- what needs to look at several ranks at once ---

class CollectiveTest : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }
};

class CollectiveWithPeersTest : public CollectiveTest {};

// Beginning must not block on the others: rank 0 begins before the others are let go.
TEST_P(CollectiveTest, AllReduceAsync_Begin_DoesNotWaitForPeers) {
  std::latch begun(1);
  run_group_or_throw(GetParam(), [&](Collective& group) {
    const at::Tensor tensor = at::ones({10});
    if (group.rank() != 0) begun.wait();
    const std::unique_ptr<Pending> pending = group.all_reduce_async(tensor);
    if (group.rank() == 0) begun.count_down();
    pending->wait();
    EXPECT_EQ(tensor[0].item<double>(), group.world_size());
  });
}

TEST_P(CollectiveTest, Barrier_NobodyLeavesBeforeTheLastCame) {
  std::atomic<int> arrived{0};
  run_group_or_throw(GetParam(), [&](Collective& group) {
    ++arrived;
    group.barrier();
    EXPECT_EQ(arrived.load(), group.world_size());
  });
}

TEST_P(CollectiveTest, Abort_LaterOperations_ThrowTheReason) {
  const auto thrown = run_group(GetParam(), [&](Collective& group) {
    group.barrier();
    group.abort("enough");
    group.barrier();
  });
  for (const std::exception_ptr& one : thrown) {
    const Error error = error_of(one);
    // A rank may see its peer's abort before its own.
    EXPECT_THAT(error.code(), AnyOf(ErrorCode::kAborted, ErrorCode::kUnavailable)) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("barrier on rank"));
  }
}

TEST_P(CollectiveWithPeersTest, PeerLoss_EndsTheSurvivorsOperation) {
  const auto thrown = run_group(GetParam(), [&](Collective& group) {
    group.barrier();
    if (group.rank() == group.world_size() - 1) return;  // its collective is destroyed
    group.all_reduce(at::ones({100'000}));
  });
  bool somebody_saw_it = false;
  for (int rank = 0; rank + 1 < GetParam().world_size; ++rank) {
    const Error error = error_of(thrown[static_cast<std::size_t>(rank)]);
    somebody_saw_it = somebody_saw_it || error.code() == ErrorCode::kUnavailable;
    EXPECT_THAT(error.code(), AnyOf(ErrorCode::kUnavailable, ErrorCode::kAborted)) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank " + std::to_string(rank) + " of"));
  }
  EXPECT_TRUE(somebody_saw_it);
}

INSTANTIATE_TEST_SUITE_P(Backends, CollectiveTest, ::testing::ValuesIn(kBackends),
                         [](const auto& info) { return testing::name_of(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, CollectiveWithPeersTest,
                         ::testing::Values(Backend{"local", 3}, Backend{"gloo", 2}, Backend{"gloo", 3},
                                           Backend{"nccl", 3}),
                         [](const auto& info) { return testing::name_of(info.param); });

TEST(GlooTest, Timeout_OfAnAbsentPeer_NamesTheOperation) {
  std::latch done(1);
  const auto thrown = run_group(
      {"gloo", 2},
      [&](Collective& group) {
        if (group.rank() == 1) {
          done.wait();  // holds its connections, but joins nothing
          return;
        }
        try {
          group.all_reduce(at::ones({10}));
        } catch (...) {
          done.count_down();
          throw;
        }
        done.count_down();
      },
      std::chrono::milliseconds(200));
  const Error error = error_of(thrown[0]);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank 0 of 2"));
}

TEST(GlooTest, Forming_WhenSuperseded_PassesTheErrorOn) {
  testing::MemoryExchange exchange(2);
  exchange.supersede();
  CollectiveOptions options;
  options.world_size = 2;
  try {
    make_gloo(options, exchange.for_rank(0));
    FAIL() << "formed a group alone";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kAborted);
  }
}

TEST(GlooTest, Forming_OnAForeignAddress_NamesIt) {
  testing::MemoryExchange exchange(1);
  CollectiveOptions options;
  options.bind_address = "192.0.2.1";
  try {
    make_gloo(options, exchange.for_rank(0));
    FAIL() << "listens on an address of another machine";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("192.0.2.1"));
  }
}

TEST(LocalTest, RanksThatDisagree_AreTold) {
  const auto thrown =
      run_group({"local", 2}, [](Collective& group) { group.all_reduce(at::ones({group.rank() + 2})); });
  const Error first = error_of(thrown[0]);
  const Error second = error_of(thrown[1]);
  EXPECT_EQ(first.code(), ErrorCode::kInternal);
  EXPECT_EQ(second.code(), ErrorCode::kInternal);
  EXPECT_THAT(first.what(), HasSubstr("Float[3]"));
}

TEST(MakeCollective, BadRank_IsRefused) {
  CollectiveOptions options;
  options.rank = 2;
  options.world_size = 2;
  EXPECT_THROW(make_collective(options, nullptr), Error);
}

TEST(MakeCollective, ABackendThatCannotWorkHere_IsRefusedByName) {
  const auto text_of = [](const std::string& backend, at::Device device) {
    CollectiveOptions options;
    options.backend = backend;
    options.device = device;
    return std::string(error_of([&] {
                         try {
                           make_collective(options, nullptr);
                         } catch (...) {
                           return std::current_exception();
                         }
                         return std::exception_ptr();
                       }())
                           .what());
  };
  EXPECT_THAT(text_of("nccl", at::kCPU), HasSubstr("rank 0's device cpu: NCCL needs GPUs"));
  EXPECT_THAT(text_of("mpi", at::Device(at::kCUDA, 0)), HasSubstr("moves tensors of CPUs only"));
  EXPECT_THAT(text_of("gloo", at::Device(at::kCUDA, 1)), HasSubstr("device cuda:1"));
  EXPECT_THAT(text_of("carrier pigeons", at::kCPU), HasSubstr("carrier pigeons"));
}

TEST(MakeCollective, OneRankOnTheCpu_NeedsNoExchange) {
  const std::unique_ptr<Collective> alone = make_collective({}, nullptr);
  const at::Tensor tensor = at::ones({3});
  alone->all_reduce(tensor);
  EXPECT_TRUE(tensor.equal(at::ones({3})));
}

}  // namespace
}  // namespace mdgen::comm
