#include <condition_variable>
#include <deque>
#include <exception>
#include <latch>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/data/dataset.h"

namespace mdgen::data {
namespace {

struct Task {
  std::int64_t epoch = 0;
  MicroBatch samples;
  bool done = false;
  Batch batch;
  std::exception_ptr error;
};

}  // namespace

struct Prefetcher::State {
  explicit State(const Dataset& source) : dataset(source) {}

  const Dataset& dataset;
  std::mutex mutex;
  std::condition_variable work;             // a task may be started, or stop
  std::condition_variable finished;         // a task is done
  std::deque<std::shared_ptr<Task>> tasks;  // in the order of push()
  std::size_t started = 0;                  // the first so many are being read or done
  std::size_t ahead = 0;                    // at most so many of them
  bool stop = false;
  std::vector<std::thread> threads;

  void read(Task& task) const noexcept {
    try {
      task.batch = dataset.load(task.epoch, task.samples);
    } catch (...) {
      task.error = std::current_exception();
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stop || (started < tasks.size() && started < ahead); });
      if (stop) return;
      const std::shared_ptr<Task> task = tasks[started++];
      lock.unlock();
      read(*task);
      lock.lock();
      task->done = true;
      finished.notify_all();
    }
  }
};

Prefetcher::Prefetcher(const Dataset& dataset, int threads) : state_(std::make_unique<State>(dataset)) {
  state_->ahead = static_cast<std::size_t>(threads) + 1;
  if (threads == 0) return;
  // Each reader works alone: OpenMP would give every one of them a team of its own. LibTorch keeps the number
  // for threads yet to come in one place, so the caller's is put back when all readers have set theirs.
  const int callers = at::get_num_threads();
  std::latch ready(threads);
  for (int i = 0; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get(), &ready] {
      at::get_num_threads();  // else the thread's first operation would take the caller's number
      at::set_num_threads(1);
      ready.count_down();
      state->run();
    });
  }
  ready.wait();
  at::set_num_threads(callers);
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void Prefetcher::push(std::int64_t epoch, MicroBatch samples) {
  auto task = std::make_shared<Task>();
  task->epoch = epoch;
  task->samples = std::move(samples);
  {
    const std::lock_guard lock(state_->mutex);
    state_->tasks.push_back(std::move(task));
  }
  state_->work.notify_one();
}

Batch Prefetcher::get() {
  std::unique_lock lock(state_->mutex);
  if (state_->tasks.empty()) throw Error(ErrorCode::kInternal, "Prefetcher::get() without a push()");
  const std::shared_ptr<Task> task = state_->tasks.front();
  if (state_->threads.empty()) {
    state_->read(*task);
    state_->tasks.pop_front();
  } else {
    state_->finished.wait(lock, [&] { return task->done; });
    state_->tasks.pop_front();
    --state_->started;
    state_->work.notify_one();
  }
  if (task->error) std::rethrow_exception(task->error);
  return std::move(task->batch);
}

void Prefetcher::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->tasks.clear();
  state_->started = 0;
}

}  // namespace mdgen::data
