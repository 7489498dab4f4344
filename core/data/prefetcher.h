// Micro-batches read ahead, on the device that trains.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/data/dataset.h"
#include "core/data/device_copier.h"

namespace mdgen::data {

// Reads micro-batches ahead with `threads` threads (0: in get(), on the caller's thread). The order of get()
// calls is the order of push() calls. At most threads + 1 micro-batches are held or being read; push() never
// waits. Not thread-safe itself; `dataset` must outlive it.
//
// On the CPU the readers make the features too. For another device they read into page-locked memory; get()
// starts the next batch's copy, if that has been read, before it returns the one before, so that the copy
// goes on beside the step, and makes the features on the device.
class Prefetcher {
 public:
  Prefetcher(const Dataset& dataset, int threads);  // on the CPU
  Prefetcher(const Dataset& dataset, int threads,
             std::unique_ptr<DeviceCopier> copier);  // on the copier's device
  ~Prefetcher();
  Prefetcher(Prefetcher&&) noexcept;
  void push(std::int64_t epoch, MicroBatch samples);
  // Throws what reading this batch threw. While it waits for a reader it asks `interrupt` again and again,
  // which may throw: then the prefetcher is of no further use.
  Batch get(const std::function<void()>& interrupt = {});
  void clear();  // forgets what was pushed and not yet got

  // Whether the next batch that get() has not begun with is read.
  bool next_is_read() const;

 private:
  class Source;
  class HostSource;
  class DeviceSource;
  std::unique_ptr<Source> source_;
};

// A prefetcher for a device.
Prefetcher make_prefetcher(const Dataset& dataset, int threads, at::Device device);

}  // namespace mdgen::data
