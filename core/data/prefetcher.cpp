#include "core/data/prefetcher.h"

#include <deque>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/data/read_ahead.h"

namespace mdgen::data {
namespace {

// Each reader works alone: OpenMP would give every one of them a team of its own. The first call makes the
// thread take its number now; else its first operation would, and undo the second.
void work_alone() {
  at::get_num_threads();
  at::set_num_threads(1);
}

// LibTorch keeps the number for threads yet to come in one place, which the readers change.
template <typename Result>
std::unique_ptr<ReadAhead<Result>> start_readers(int threads) {
  const int callers = at::get_num_threads();
  auto readers = std::make_unique<ReadAhead<Result>>(threads, work_alone);
  if (threads > 0) at::set_num_threads(callers);
  return readers;
}

template <typename Result, typename Read>
void push_to(ReadAhead<Result>& readers, const Dataset& dataset, std::int64_t epoch, MicroBatch samples,
             Read read) {
  const auto shared = std::make_shared<const MicroBatch>(std::move(samples));
  readers.push([read = std::move(read), epoch, shared] { return read(epoch, *shared); },
               [&dataset, epoch, shared] { dataset.reader().read_ahead(epoch, *shared); });
}

}  // namespace

class Prefetcher::Source {
 public:
  virtual ~Source() = default;
  virtual void push(std::int64_t epoch, MicroBatch samples) = 0;
  virtual Batch get(const std::function<void()>& interrupt) = 0;
  virtual void clear() = 0;
  virtual bool next_is_read() const = 0;
};

class Prefetcher::HostSource : public Source {
 public:
  HostSource(const Dataset& dataset, int threads)
      : dataset_(dataset), readers_(start_readers<Batch>(threads)) {}

  void push(std::int64_t epoch, MicroBatch samples) override {
    push_to(
        *readers_, dataset_, epoch, std::move(samples),
        [&dataset = dataset_](std::int64_t of, const MicroBatch& batch) { return dataset.load(of, batch); });
  }
  Batch get(const std::function<void()>& interrupt) override { return readers_->get(interrupt); }
  void clear() override { readers_->clear(); }
  bool next_is_read() const override { return readers_->ready(); }

 private:
  const Dataset& dataset_;
  std::unique_ptr<ReadAhead<Batch>> readers_;
};

class Prefetcher::DeviceSource : public Source {
 public:
  DeviceSource(const Dataset& dataset, int threads, std::unique_ptr<DeviceCopier> copier)
      : dataset_(dataset),
        copier_(std::move(copier)),
        buffers_([copier = copier_.get()](std::size_t bytes) { return copier->allocate(bytes); }),
        readers_(start_readers<RawBatch>(threads)) {}

  void push(std::int64_t epoch, MicroBatch samples) override {
    push_to(*readers_, dataset_, epoch, std::move(samples), [this](std::int64_t of, const MicroBatch& batch) {
      return dataset_.reader().read(of, batch, buffers_);
    });
  }
  Batch get(const std::function<void()>& interrupt) override {
    std::erase_if(copying_, [](const auto& copy) { return copy->done(); });
    if (!next_) start_next(interrupt);
    const Upload upload = std::move(*next_);
    next_.reset();
    if (readers_->ready()) start_next({});
    if (upload.error) std::rethrow_exception(upload.error);
    return finish(upload);
  }
  void clear() override {
    next_.reset();
    readers_->clear();
  }
  bool next_is_read() const override { return readers_->ready(); }

 private:
  struct Upload {
    RawBatch raw;
    std::shared_ptr<DeviceCopy> copy;
    std::exception_ptr error;
  };

  // What `interrupt` throws is thrown by get(), like an error of reading.
  void start_next(const std::function<void()>& interrupt) {
    Upload upload;
    try {
      upload.raw = readers_->get(interrupt);
      if (!upload.raw.samples.empty()) {
        upload.copy = copier_->start(upload.raw.bytes, upload.raw.layout.bytes);
        copying_.push_back(upload.copy);
        upload.raw.bytes.reset();
      }
    } catch (...) {
      upload.error = std::current_exception();
    }
    next_ = std::move(upload);
  }
  Batch finish(const Upload& upload) const {
    if (upload.copy) return dataset_.features(upload.raw, upload.copy->finish());
    Batch none;
    none.bad_samples = upload.raw.bad_samples;
    return none;
  }

  const Dataset& dataset_;
  std::unique_ptr<DeviceCopier> copier_;
  BufferPool buffers_;
  std::optional<Upload> next_;                        // the next batch, being copied
  std::vector<std::shared_ptr<DeviceCopy>> copying_;  // they keep their host memory
  std::unique_ptr<ReadAhead<RawBatch>> readers_;
};

Prefetcher::Prefetcher(const Dataset& dataset, int threads)
    : source_(std::make_unique<HostSource>(dataset, threads)) {}

Prefetcher::Prefetcher(const Dataset& dataset, int threads, std::unique_ptr<DeviceCopier> copier)
    : source_(std::make_unique<DeviceSource>(dataset, threads, std::move(copier))) {}

Prefetcher::~Prefetcher() = default;
Prefetcher::Prefetcher(Prefetcher&&) noexcept = default;

void Prefetcher::push(std::int64_t epoch, MicroBatch samples) { source_->push(epoch, std::move(samples)); }

bool Prefetcher::next_is_read() const { return source_->next_is_read(); }

Batch Prefetcher::get(const std::function<void()>& interrupt) { return source_->get(interrupt); }

void Prefetcher::clear() { source_->clear(); }

Prefetcher make_prefetcher(const Dataset& dataset, int threads, at::Device device) {
  if (device.is_cpu()) return {dataset, threads};
  return {dataset, threads, stream_copier(device)};
}

}  // namespace mdgen::data
