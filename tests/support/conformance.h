// What every backend of Collective must do, as functions that every rank of a fresh group runs: on threads of
// one test, or on processes (tests/multirank/conformance_rank.cpp). A broken promise is thrown as a
// std::runtime_error that says which.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/comm/collective.h"

namespace mdgen::testing {

struct ConformanceCase {
  // Waits beside the group until every rank has come to the same place.
  using Meet = std::function<void()>;

  std::string name;
  std::function<void(comm::Collective& group, const Meet& meet)> body;
  bool needs_peers = false;
  bool breaks_group = false;  // by abort(): for backends that support it
};

namespace conformance {

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

inline std::string rank_text(const comm::Collective& group) {
  return "rank " + std::to_string(group.rank()) + " of " + std::to_string(group.world_size());
}

inline const std::vector<at::ScalarType>& types() {
  static const std::vector<at::ScalarType> all = {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16,
                                                  at::kLong,  at::kInt,    at::kChar, at::kByte};
  return all;
}

inline void all_reduce_of_every_type(comm::Collective& group) {
  const int n = group.world_size();
  for (const at::ScalarType type : types()) {
    const at::Tensor tensor = at::full({3, 5}, group.rank() + 1, at::TensorOptions().dtype(type));
    group.all_reduce(tensor);
    require(tensor.to(at::kDouble).equal(at::full({3, 5}, n * (n + 1) / 2.0, at::kDouble)),
            std::string("the sum of ") + c10::toString(type));
  }
}

// 8 MB, no round number; equal bits on all ranks.
inline void all_reduce_of_a_big_tensor(comm::Collective& group) {
  const int n = group.world_size();
  const at::Tensor tensor = at::arange(2'000'003, at::kFloat).mul(1e-3).add(group.rank());
  group.all_reduce(tensor);
  const at::Tensor expected = at::arange(2'000'003, at::kFloat).mul(1e-3).mul(n).add(n * (n - 1) / 2.0);
  require(at::allclose(tensor, expected, 1e-6, 1e-6), "the sum");
  const at::Tensor first = tensor.clone();
  group.broadcast(first, 0);
  require(tensor.equal(first), "bits differ from rank 0's");
}

inline void empty_tensors(comm::Collective& group) {
  group.all_reduce(at::empty({0}));
  group.broadcast(at::empty({0, 3}), 0);
  const std::vector<at::Tensor> gathered = group.all_gather(at::empty({2, 0}));
  require(gathered.size() == static_cast<std::size_t>(group.world_size()), "as many parts as ranks");
  require(gathered.back().sizes() == at::IntArrayRef({2, 0}), "an empty part keeps its shape");
  group.all_gather_into(at::empty({0}), at::empty({0}));
}

inline void many_in_flight(comm::Collective& group) {
  const int n = group.world_size();
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<comm::Pending>> pending;
  for (int i = 0; i < 32; ++i) {
    tensors.push_back(at::full({1000 + i}, (i + 1.0) * (group.rank() + 1)));
    pending.push_back(group.all_reduce_async(tensors.back()));
  }
  for (const auto& one : pending) one->wait();
  for (int i = 0; i < 32; ++i) {
    require(tensors[static_cast<std::size_t>(i)].equal(at::full({1000 + i}, (i + 1.0) * n * (n + 1) / 2.0)),
            "operation " + std::to_string(i) + " has its own sum");
  }
}

inline void broadcast_from_every_root(comm::Collective& group) {
  for (int root = 0; root < group.world_size(); ++root) {
    for (const at::ScalarType type : types()) {
      const at::Tensor values = at::full({7}, group.rank() + 3, at::TensorOptions().dtype(type));
      group.broadcast(values, root);
      require(values.to(at::kInt).equal(at::full({7}, root + 3, at::kInt)), "every root, every type");
    }
    const at::Tensor flags = at::full({3}, group.rank() == root, at::kBool);
    group.broadcast(flags, root);
    require(flags.all().item<bool>(), "booleans");
  }
  const at::Tensor parameter = at::full({4}, double(group.rank())).requires_grad_(true);
  group.broadcast(parameter, 0);
  require(parameter.detach().equal(at::zeros({4})) && parameter.is_leaf(), "into a parameter");
}

inline void gathers(comm::Collective& group) {
  const int n = group.world_size();
  for (const at::ScalarType type : types()) {
    const auto all = group.all_gather(at::full({2, 2}, group.rank(), at::TensorOptions().dtype(type)));
    require(all.size() == static_cast<std::size_t>(n), "as many parts as ranks");
    for (int r = 0; r < n; ++r) {
      require(all[static_cast<std::size_t>(r)].to(at::kInt).equal(at::full({2, 2}, r, at::kInt)),
              "parts in the order of ranks");
    }
  }
  require(group.all_gather(at::full({3}, true, at::kBool)).back().all().item<bool>(), "booleans");

  const at::Tensor into = at::zeros({n, 1000});
  group.all_gather_into(into, at::full({1000}, group.rank() + 0.5));
  const at::Tensor expected = at::arange(n).add(0.5).view({n, 1}).expand({n, 1000});
  require(into.equal(expected), "all_gather_into");
  const at::Tensor in_place = at::zeros({n * 1000});
  const at::Tensor mine = in_place.narrow(0, group.rank() * 1000, 1000);
  mine.fill_(group.rank() + 0.5);
  group.all_gather_into(in_place, mine);
  require(in_place.equal(expected.reshape({-1})), "all_gather_into in place");
}

// Rank r sends s + 1 elements to rank s, but nothing to itself.
inline void all_to_all_of_unequal_pieces(comm::Collective& group) {
  const int n = group.world_size();
  for (const at::ScalarType type : types()) {
    const auto options = at::TensorOptions().dtype(type);
    comm::Splits out, in;
    std::vector<at::Tensor> pieces = {at::empty({0}, options)};
    std::vector<at::Tensor> expected = {at::empty({0}, options)};
    for (int r = 0; r < n; ++r) {
      out.push_back(r == group.rank() ? 0 : r + 1);
      in.push_back(r == group.rank() ? 0 : group.rank() + 1);
      pieces.push_back(at::full({out.back()}, 10 * group.rank() + r, options));
      expected.push_back(at::full({in.back()}, 10 * r + group.rank(), options));
    }
    const at::Tensor received = at::empty_like(at::cat(expected));
    group.all_to_all_async(received, in, at::cat(pieces), out)->wait();
    require(received.equal(at::cat(expected)), std::string("pieces of ") + c10::toString(type));
  }
}

inline void all_to_all_where_one_rank_sends(comm::Collective& group) {
  const auto n = static_cast<std::size_t>(group.world_size());
  const bool sends = group.rank() == 0;
  comm::Splits in(n, 0);
  in[0] = 300'000;
  const at::Tensor received = at::zeros({300'000});
  const at::Tensor input = sends ? at::ones({300'000 * group.world_size()}) : at::empty({0});
  const auto first = group.all_to_all_async(received, in, input, comm::Splits(n, sends ? 300'000 : 0));
  const auto second =
      group.all_to_all_async(at::empty({0}), comm::Splits(n, 0), at::empty({0}), comm::Splits(n, 0));
  const at::Tensor sum = at::ones({10});
  const auto third = group.all_reduce_async(sum);
  third->wait();
  second->wait();
  first->wait();
  require(received.equal(at::ones({300'000})) && sum.equal(at::full({10}, double(n))),
          "three operations in flight, awaited in another order");
}

inline void bad_arguments(comm::Collective& group) {
  const auto refused = [](const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidArgument;
    }
    return false;
  };
  const auto n = static_cast<std::size_t>(group.world_size());
  require(refused([&] { group.all_gather_into(at::empty({group.world_size() * 2 + 1}), at::empty({2})); }),
          "a wrong output is refused");
  require(refused([&] {
            group.all_to_all_async(at::empty({1}), comm::Splits(n, 0), at::empty({0}), comm::Splits(n, 0));
          }),
          "wrong splits are refused");
  group.barrier();  // and the group is whole
}

inline void barriers(comm::Collective& group) {
  for (int i = 0; i < 50; ++i) group.barrier();
}

inline std::string text_of_failure(const std::function<void()>& call, ErrorCode& code) {
  try {
    call();
  } catch (const Error& error) {
    code = error.code();
    return error.what();
  }
  return "";
}

// Rank 0 waits for others that never come, until another of its threads aborts.
inline void abort_ends_a_blocked_operation(comm::Collective& group, const ConformanceCase::Meet& meet) {
  if (group.rank() == 0) {
    const std::unique_ptr<comm::Pending> pending = group.all_reduce_async(at::ones({1000}));
    std::thread aborter([&] { group.abort("generation 7 began"); });
    ErrorCode code{};
    const std::string text = text_of_failure([&] { pending->wait(); }, code);
    aborter.join();
    require(code == ErrorCode::kAborted && text.find("generation 7 began") != std::string::npos &&
                text.find("all_reduce on " + rank_text(group)) != std::string::npos,
            "the wait ends with Aborted, operation, rank and reason; it was: " + text);
  }
  meet();
}

// All operations in flight fail, later ones too, and the first reason stays.
inline void abort_fails_what_is_in_flight(comm::Collective& group, const ConformanceCase::Meet& meet) {
  if (group.rank() == 0) {
    std::vector<std::unique_ptr<comm::Pending>> pending;
    for (int i = 0; i < 8; ++i) pending.push_back(group.all_reduce_async(at::ones({1000})));
    group.abort("enough");
    group.abort("too late");
    for (const auto& one : pending) {
      ErrorCode code{};
      const std::string text = text_of_failure([&] { one->wait(); }, code);
      require(code == ErrorCode::kAborted && text.find("enough") != std::string::npos, "in flight: " + text);
    }
    ErrorCode code{};
    const std::string text = text_of_failure([&] { group.barrier(); }, code);
    require(code == ErrorCode::kAborted && text.find("barrier on rank") != std::string::npos,
            "later: " + text);
  }
  meet();
}

}  // namespace conformance

inline const std::vector<ConformanceCase>& conformance_cases() {
  const auto plain = [](void (*body)(comm::Collective&)) {
    return [body](comm::Collective& group, const ConformanceCase::Meet&) { body(group); };
  };
  static const std::vector<ConformanceCase> cases = {
      {"AllReduceOfEveryType", plain(conformance::all_reduce_of_every_type)},
      {"AllReduceOfABigTensor", plain(conformance::all_reduce_of_a_big_tensor)},
      {"EmptyTensors", plain(conformance::empty_tensors)},
      {"ManyInFlight", plain(conformance::many_in_flight)},
      {"BroadcastFromEveryRoot", plain(conformance::broadcast_from_every_root)},
      {"Gathers", plain(conformance::gathers)},
      {"AllToAllOfUnequalPieces", plain(conformance::all_to_all_of_unequal_pieces)},
      {"AllToAllWhereOneRankSends", plain(conformance::all_to_all_where_one_rank_sends)},
      {"BadArguments", plain(conformance::bad_arguments)},
      {"Barriers", plain(conformance::barriers)},
      {"AbortEndsABlockedOperation", conformance::abort_ends_a_blocked_operation, true, true},
      {"AbortFailsWhatIsInFlight", conformance::abort_fails_what_is_in_flight, true, true}};
  return cases;
}

}  // namespace mdgen::testing
