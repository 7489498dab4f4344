#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/train_state.h"

namespace mdgen::checkpoint {

struct BackgroundWriter::State {
  Options options;
  Done done;

  std::mutex mutex;
  std::condition_variable changed;
  std::int64_t generation = 0;  // of the snapshot in flight
  TrainState buffer;            // the snapshot in flight, or the last one's warm memory
  bool pending = false;
  bool closing = false;
  std::exception_ptr failure;

  std::thread thread;

  void publish_and_tell() {
    const Name name{buffer.summary.step, generation};
    const auto folder =
        publish(options.checkpoints, name, buffer.summary,
                [this](const std::filesystem::path& temporary) { write_files(temporary, buffer); });
    verify(folder);
    retain(options.checkpoints, options.keep_last, generation);
    if (done) done(folder, name.step);
  }

  void loop() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return pending || closing; });
      if (!pending) return;
      lock.unlock();
      std::exception_ptr failed;
      try {
        publish_and_tell();
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      if (failed && !failure) failure = failed;
      pending = false;
      changed.notify_all();
    }
  }

  // Waits for the one in flight and throws what it, or one before it, has thrown.
  void wait_idle(std::unique_lock<std::mutex>& lock) {
    changed.wait(lock, [this] { return !pending; });
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }
};

BackgroundWriter::BackgroundWriter(Options options, Done done) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->done = std::move(done);
  state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

BackgroundWriter::~BackgroundWriter() {
  {
    std::unique_lock lock(state_->mutex);
    state_->closing = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
  if (!state_->failure) return;
  try {
    std::rethrow_exception(state_->failure);
  } catch (const std::exception& error) {
    spdlog::error("a checkpoint was not written: {}", error.what());
  }
}

void BackgroundWriter::enter_generation(std::int64_t generation) {
  const std::lock_guard lock(state_->mutex);
  state_->options.generation = generation;
}

void BackgroundWriter::write(const TrainState& live) {
  std::unique_lock lock(state_->mutex);
  state_->wait_idle(lock);
  state_->buffer = snapshot(live, std::move(state_->buffer));
  state_->generation = state_->options.generation;
  state_->pending = true;
  state_->changed.notify_all();
}

void BackgroundWriter::flush() {
  std::unique_lock lock(state_->mutex);
  state_->wait_idle(lock);
}

}  // namespace mdgen::checkpoint
