#include "core/bench/allreduce_bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/error.h"
#include "core/bench/rank_processes.h"
#include "core/checkpoint/model_layout.h"
#include "core/comm/gradient_reducer.h"

namespace mdgen::bench {
namespace {

using Shapes = std::vector<std::vector<std::int64_t>>;

constexpr double kMebibyte = 1 << 20;
constexpr std::int64_t kPieceElements = 1 << 16;  // of gradients without a model: 256 KiB a parameter

Shapes pieces(double mbytes) {
  const auto elements = static_cast<std::int64_t>(std::max(1.0, mbytes * kMebibyte / sizeof(float)));
  Shapes shapes;
  for (std::int64_t begin = 0; begin < elements; begin += kPieceElements)
    shapes.push_back({std::min(kPieceElements, elements - begin)});
  return shapes;
}

Shapes shapes_of(const AllReduceOptions& options, const v1::JobSpec& spec) {
  if (options.mbytes > 0) return pieces(options.mbytes);
  Shapes shapes;
  for (const checkpoint::LayoutTensor& tensor : checkpoint::model_layout(spec))
    if (tensor.role == checkpoint::LayoutTensor::Role::kParameter) shapes.push_back(tensor.shape);
  return shapes;
}

std::int64_t elements_of(const Shapes& shapes) {
  std::int64_t elements = 0;
  for (const auto& shape : shapes) {
    std::int64_t product = 1;
    for (const std::int64_t size : shape) product *= size;
    elements += product;
  }
  return elements;
}

double reduce(const std::vector<at::Tensor>& parameters, comm::Collective& group, double bucket_mbytes) {
  comm::GradientReducer reducer(parameters, group, static_cast<std::size_t>(bucket_mbytes * kMebibyte));
  reducer.start_step();
  reducer.flat().fill_(group.rank() + 1);
  group.barrier();
  const double seconds = seconds_of([&] { reducer.finish_step(); });
  const double sum = 0.5 * group.world_size() * (group.world_size() + 1);
  if (!(reducer.flat() == sum).all().item<bool>())
    throw Error(ErrorCode::kDataLoss, "a sum of gradients is wrong");
  return seconds;
}

// Seconds by round and bucket size.
std::string rank_work(const AllReduceOptions& options, const Shapes& shapes, int threads, int rank,
                      const comm::Exchange& exchange) {
  at::set_num_threads(threads);
  const auto group =
      comm::make_collective({.rank = rank, .world_size = options.ranks, .backend = "gloo"}, exchange);
  std::vector<at::Tensor> parameters;
  for (const auto& shape : shapes) parameters.push_back(at::zeros(shape, at::kFloat).set_requires_grad(true));
  nlohmann::json rounds = nlohmann::json::array();
  for (int round = 0; round <= options.rounds; ++round) {
    nlohmann::json seconds = nlohmann::json::array();
    for (const double mbytes : options.bucket_mbytes) seconds.push_back(reduce(parameters, *group, mbytes));
    if (round > 0) rounds.push_back(seconds);
  }
  group->barrier();
  return rounds.dump();
}

std::vector<BucketResult> slowest(const AllReduceOptions& options, const std::vector<std::string>& results) {
  std::vector<nlohmann::json> ranks;
  for (const std::string& result : results) ranks.push_back(nlohmann::json::parse(result));
  std::vector<BucketResult> buckets;
  for (std::size_t i = 0; i < options.bucket_mbytes.size(); ++i) {
    std::vector<double> seconds(static_cast<std::size_t>(options.rounds));
    for (std::size_t round = 0; round < seconds.size(); ++round)
      for (const nlohmann::json& rank : ranks)
        seconds[round] = std::max(seconds[round], rank.at(round).at(i).get<double>());
    buckets.push_back({options.bucket_mbytes[i], spread(seconds)});
  }
  return buckets;
}

}  // namespace

AllReduceResult measure_allreduce(const AllReduceOptions& options, const v1::JobSpec& spec) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : std::max(1, cores / options.ranks);
  const Shapes shapes = shapes_of(options, spec);
  AllReduceResult result{.options = options, .threads = threads};
  result.parameters = static_cast<std::int64_t>(shapes.size());
  result.bytes = elements_of(shapes) * static_cast<std::int64_t>(sizeof(float));
  result.buckets = slowest(options, run_ranks(options.ranks, [&](int rank, const comm::Exchange& exchange) {
                             return rank_work(options, shapes, threads, rank, exchange);
                           }));
  return result;
}

}  // namespace mdgen::bench
