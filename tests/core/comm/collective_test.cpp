// What every backend must do, over the backends that run everywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <latch>
#include <mutex>

#include "tests/support/collective_backends.h"

namespace mdgen::comm {
namespace {

using ::testing::AnyOf;
using testing::Backend;
using testing::error_of;
using ::testing::HasSubstr;
using testing::run_group;
using testing::run_group_or_throw;

class CollectiveTest : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }

  // 1 + 2 + … + world size
  static double sum_of_ranks() {
    const int n = GetParam().world_size;
    return n * (n + 1) / 2.0;
  }
};

class CollectiveWithPeersTest : public CollectiveTest {};

TEST_P(CollectiveTest, AllReduce_EveryType_SumsInPlace) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    for (const at::ScalarType type :
         {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kChar, at::kByte}) {
      const at::Tensor tensor = at::full({3, 5}, group.rank() + 1, at::TensorOptions().dtype(type));
      group.all_reduce(tensor);
      EXPECT_TRUE(tensor.to(at::kDouble).equal(at::full({3, 5}, sum_of_ranks(), at::kDouble)))
          << c10::toString(type);
    }
  });
}

TEST_P(CollectiveTest, AllReduce_BigTensor_IsExactAndEqualOnAllRanks) {
  std::mutex mutex;
  std::vector<at::Tensor> results;
  run_group_or_throw(GetParam(), [&](Collective& group) {
    const at::Tensor tensor = at::arange(2'000'003, at::kFloat).mul(1e-3).add(group.rank());
    group.all_reduce(tensor);
    const std::lock_guard lock(mutex);
    results.push_back(tensor);
  });
  const int n = GetParam().world_size;
  const at::Tensor expected = at::arange(2'000'003, at::kFloat).mul(1e-3).mul(n).add(n * (n - 1) / 2.0);
  for (const at::Tensor& result : results) {
    EXPECT_TRUE(result.equal(results[0]));
    EXPECT_TRUE(at::allclose(result, expected, 1e-6, 1e-6));
  }
}

TEST_P(CollectiveTest, EmptyTensors_AreFine) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    group.all_reduce(at::empty({0}));
    group.broadcast(at::empty({0, 3}), 0);
    const std::vector<at::Tensor> gathered = group.all_gather(at::empty({2, 0}));
    ASSERT_EQ(gathered.size(), static_cast<std::size_t>(group.world_size()));
    EXPECT_EQ(gathered.back().sizes(), at::IntArrayRef({2, 0}));
  });
}

TEST_P(CollectiveTest, AllReduceAsync_ManyInFlight_KeepTheirOrder) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    std::vector<at::Tensor> tensors;
    std::vector<std::unique_ptr<Pending>> pending;
    for (int i = 0; i < 16; ++i) {
      tensors.push_back(at::full({1000 + i}, (i + 1.0) * (group.rank() + 1)));
      pending.push_back(group.all_reduce_async(tensors.back()));
    }
    for (const auto& one : pending) one->wait();
    for (int i = 0; i < 16; ++i) {
      EXPECT_TRUE(
          tensors[static_cast<std::size_t>(i)].equal(at::full({1000 + i}, (i + 1.0) * sum_of_ranks())));
    }
  });
}

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

TEST_P(CollectiveTest, Broadcast_FromEveryRoot_CopiesExactly) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    for (int root = 0; root < group.world_size(); ++root) {
      const at::Tensor values = at::full({7}, group.rank() * 1.5 + 0.1, at::kDouble);
      group.broadcast(values, root);
      EXPECT_TRUE(values.equal(at::full({7}, root * 1.5 + 0.1, at::kDouble)));
      const at::Tensor flags = at::full({3}, group.rank() == root, at::kBool);
      group.broadcast(flags, root);
      EXPECT_TRUE(flags.all().item<bool>());
    }
  });
}

TEST_P(CollectiveTest, Broadcast_OfAParameter_WritesIntoIt) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    at::Tensor parameter = at::full({4}, double(group.rank())).requires_grad_(true);
    group.broadcast(parameter, 0);
    EXPECT_TRUE(parameter.detach().equal(at::zeros({4})));
    EXPECT_TRUE(parameter.is_leaf());
  });
}

TEST_P(CollectiveTest, AllGather_OrdersByRank) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const at::Tensor mine = at::full({2, 2}, group.rank(), at::kLong);
    const std::vector<at::Tensor> all = group.all_gather(mine);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(group.world_size()));
    for (int r = 0; r < group.world_size(); ++r) {
      EXPECT_TRUE(all[static_cast<std::size_t>(r)].equal(at::full({2, 2}, r, at::kLong)));
    }
  });
}

TEST_P(CollectiveTest, AllGatherInto_FillsEveryPart_AlsoInPlace) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const int n = group.world_size();
    const at::Tensor all = at::zeros({n, 1000});
    group.all_gather_into(all, at::full({1000}, group.rank() + 0.5));
    const at::Tensor expected = at::arange(n).add(0.5).view({n, 1}).expand({n, 1000});
    EXPECT_TRUE(all.equal(expected));
    const at::Tensor in_place = at::zeros({n * 1000});
    const at::Tensor mine = in_place.narrow(0, group.rank() * 1000, 1000);
    mine.fill_(group.rank() + 0.5);
    group.all_gather_into(in_place, mine);
    EXPECT_TRUE(in_place.equal(expected.reshape({-1})));
    group.all_gather_into(at::empty({0}), at::empty({0}));
    EXPECT_THROW(group.all_gather_into(at::empty({n * 2 + 1}), at::empty({2})), Error);
  });
}

// Rank r sends s + 1 elements to rank s, but nothing to itself.
TEST_P(CollectiveTest, AllToAll_UnequalPieces_ArriveInOrder) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const int n = group.world_size();
    Splits out, in;
    std::vector<at::Tensor> pieces = {at::empty({0}, at::kLong)};
    std::vector<at::Tensor> expected = {at::empty({0}, at::kLong)};
    for (int r = 0; r < n; ++r) {
      out.push_back(r == group.rank() ? 0 : r + 1);
      in.push_back(r == group.rank() ? 0 : group.rank() + 1);
      pieces.push_back(at::full({out.back()}, 100 * group.rank() + r, at::kLong));
      expected.push_back(at::full({in.back()}, 100 * r + group.rank(), at::kLong));
    }
    const at::Tensor received = at::empty_like(at::cat(expected));
    group.all_to_all_async(received, in, at::cat(pieces), out)->wait();
    EXPECT_TRUE(received.equal(at::cat(expected)));
    EXPECT_THROW(group.all_to_all_async(received, in, at::empty({5}), out), Error);
  });
}

TEST_P(CollectiveTest, AllToAll_OfRanksThatSendNothing_IsFine) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const auto n = static_cast<std::size_t>(group.world_size());
    const bool sends = group.rank() == 0;
    Splits in(n, 0);
    in[0] = 3;
    const at::Tensor received = at::zeros({3});
    const at::Tensor input = sends ? at::ones({3 * group.world_size()}) : at::empty({0});
    const auto first = group.all_to_all_async(received, in, input, Splits(n, sends ? 3 : 0));
    const auto second = group.all_to_all_async(at::empty({0}), Splits(n, 0), at::empty({0}), Splits(n, 0));
    first->wait();
    second->wait();
    EXPECT_TRUE(received.equal(at::ones({3})));
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

TEST_P(CollectiveWithPeersTest, Abort_FromAnotherThread_EndsABlockedOperation) {
  std::latch aborted(1);
  const auto thrown = run_group(GetParam(), [&](Collective& group) {
    if (group.rank() != 0) {
      aborted.wait();  // never joins
      group.abort("enough");
      return;
    }
    const std::unique_ptr<Pending> pending = group.all_reduce_async(at::ones({1000}));
    std::thread aborter([&] { group.abort("generation 7 began"); });
    aborter.join();
    aborted.count_down();
    pending->wait();
  });
  const Error error = error_of(thrown[0]);
  EXPECT_EQ(error.code(), ErrorCode::kAborted) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank 0 of"));
  EXPECT_THAT(error.what(), HasSubstr("generation 7 began"));
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

INSTANTIATE_TEST_SUITE_P(Backends, CollectiveTest,
                         ::testing::Values(Backend{"local", 1}, Backend{"local", 3}, Backend{"gloo", 2},
                                           Backend{"gloo", 3}),
                         [](const auto& info) { return testing::name_of(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, CollectiveWithPeersTest,
                         ::testing::Values(Backend{"local", 3}, Backend{"gloo", 2}, Backend{"gloo", 3}),
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
