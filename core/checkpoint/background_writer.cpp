#include "core/checkpoint/background_writer.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/publisher.h"
#include "core/checkpoint/snapshot_buffer.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

const SystemClock kClock;
constexpr std::chrono::milliseconds kSlice{20};  // between two questions to an interrupt

double seconds_since(Clock::Steady begin) {
  return std::chrono::duration<double>(kClock.steady() - begin).count();
}

std::string megabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string room_text(const fs::path& folder, std::int64_t needed, std::int64_t free) {
  return folder.string() + ": " + megabytes(needed) + " are needed, " +
         (free < 0 ? "what is free is unknown" : megabytes(free) + " are free");
}

}  // namespace

struct BackgroundWriter::State {
  enum class Work { kNone, kPrepare, kWrite };

  explicit State(Options given)
      : options(std::move(given)), publisher(options.checkpoints, options.policy, kClock) {}

  Options options;
  Done done;

  std::mutex mutex;
  std::condition_variable changed;
  Work work = Work::kNone;
  bool closing = false;
  bool deletes = true;
  TrainState like;      // of kPrepare
  std::string failure;  // of the last write; empty: none
  double blocked_seconds = 0;
  Name name;  // of the last write

  // The writer's thread alone while there is work, otherwise the caller's.
  SnapshotBuffer buffer;
  Publisher publisher;

  std::thread thread;

  bool may_delete() {
    const std::lock_guard lock(mutex);
    return deletes;
  }

  WriteResult publish() {
    const Clock::Steady begin = kClock.steady();
    const TrainState& state = buffer.state();
    WriteResult result;
    result.step = name.step;
    result.val_loss = state.summary.val_loss;
    try {
      buffer.wait();
      result.bytes_needed = bytes_of(state);
      result.folder = publisher.publish(name, state.summary, result.bytes_needed, may_delete(),
                                        [&](const fs::path& folder) { return write_files(folder, state); });
    } catch (const std::exception& error) {
      result.problem = error.what();
    }
    result.bytes_free = publisher.free();
    result.persist_seconds = seconds_since(begin);
    return result;
  }

  void write_now() {
    WriteResult result = publish();
    if (!result.problem.empty()) {
      result.problem = "the checkpoint of step " + std::to_string(result.step) +
                       " is not written: " + result.problem + " (" +
                       room_text(options.checkpoints, result.bytes_needed, result.bytes_free) + ")";
      spdlog::warn("{}", result.problem);
    }
    {
      const std::lock_guard lock(mutex);
      failure = result.problem;
      result.blocked_seconds = blocked_seconds;
    }
    if (done) done(result);
  }

  void prepare_now() {
    buffer.prepare(std::exchange(like, {}));
    if (may_delete()) publisher.sweep();
  }

  void loop() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return work != Work::kNone || closing; });
      if (work == Work::kNone) return;
      const Work now = work;
      lock.unlock();
      try {
        if (now == Work::kPrepare) prepare_now();
        if (now == Work::kWrite && options.before_write) options.before_write(name.step);
        if (now == Work::kWrite) write_now();
      } catch (const std::exception& error) {
        spdlog::error("the checkpoint writer: {}", error.what());
      }
      lock.lock();
      work = Work::kNone;
      changed.notify_all();
    }
  }

  std::unique_lock<std::mutex> idle(const Interrupt& interrupt) {
    std::unique_lock lock(mutex);
    const auto is_idle = [this] { return work == Work::kNone; };
    if (!interrupt) changed.wait(lock, is_idle);
    while (!changed.wait_for(lock, kSlice, is_idle)) {
      lock.unlock();
      interrupt();
      lock.lock();
    }
    return lock;
  }
  void begin(Work what) {
    work = what;
    changed.notify_all();
  }
};

BackgroundWriter::BackgroundWriter(Options options, Done done)
    : state_(std::make_unique<State>(std::move(options))) {
  state_->done = std::move(done);
  state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

BackgroundWriter::~BackgroundWriter() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

void BackgroundWriter::prepare(const TrainState& like) {
  const std::lock_guard lock(state_->mutex);
  if (state_->work != State::Work::kNone) return;
  state_->like = like;
  state_->begin(State::Work::kPrepare);
}

void BackgroundWriter::write(const TrainState& live, const Interrupt& interrupt) {
  const Clock::Steady begin = kClock.steady();
  const auto lock = state_->idle(interrupt);
  state_->buffer.copy(live);
  state_->name = {live.summary.step, state_->options.generation};
  state_->blocked_seconds = seconds_since(begin);
  state_->begin(State::Work::kWrite);
}

void BackgroundWriter::flush(const Interrupt& interrupt) {
  const auto lock = state_->idle(interrupt);
  if (!state_->failure.empty()) throw Error(ErrorCode::kUnavailable, state_->failure);
}

std::optional<std::int64_t> BackgroundWriter::in_flight() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->work != State::Work::kWrite) return std::nullopt;
  return state_->name.step;
}

void BackgroundWriter::retry() {
  const auto lock = state_->idle({});
  if (!state_->failure.empty()) state_->begin(State::Work::kWrite);
}

void BackgroundWriter::enter_generation(std::int64_t generation, bool deletes) {
  const std::lock_guard lock(state_->mutex);
  state_->options.generation = generation;
  state_->deletes = deletes;
}

}  // namespace mdgen::checkpoint
