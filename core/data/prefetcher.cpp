#include <utility>

#include "core/data/dataset.h"
#include "core/data/read_ahead.h"

namespace mdgen::data {
namespace {

// Each reader works alone: OpenMP would give every one of them a team of its own. The first call makes the
// thread take its number now; else its first operation would, and undo the second.
void work_alone() {
  at::get_num_threads();
  at::set_num_threads(1);
}

}  // namespace

struct Prefetcher::State {
  State(const Dataset& source, int threads) : dataset(source), ahead(threads, work_alone) {}

  const Dataset& dataset;
  ReadAhead<Batch> ahead;
};

// LibTorch keeps the number for threads yet to come in one place, which the readers have changed.
Prefetcher::Prefetcher(const Dataset& dataset, int threads) {
  const int callers = at::get_num_threads();
  state_ = std::make_unique<State>(dataset, threads);
  if (threads > 0) at::set_num_threads(callers);
}

Prefetcher::~Prefetcher() = default;

void Prefetcher::push(std::int64_t epoch, MicroBatch samples) {
  state_->ahead.push([&dataset = state_->dataset, epoch, samples = std::move(samples)] {
    return dataset.load(epoch, samples);
  });
}

Batch Prefetcher::get() { return state_->ahead.get(); }

void Prefetcher::clear() { state_->ahead.clear(); }

}  // namespace mdgen::data
