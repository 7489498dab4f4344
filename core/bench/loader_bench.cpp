#include "core/bench/loader_bench.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/bench/training.h"
#include "core/data/normal_kernel.h"
#include "core/train/numerics.h"
#include "core/train/step_feed.h"

namespace mdgen::bench {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

double ms_since(steady_clock::time_point begin) {
  return duration<double, std::milli>(steady_clock::now() - begin).count();
}

// Times of micro-batches, by sample.
class Times {
 public:
  template <typename Action>
  void add(std::size_t samples, Action action) {
    const auto begin = steady_clock::now();
    action();
    const double ms = ms_since(begin);
    total_ += ms;
    samples_ += samples;
    each_.push_back(ms / static_cast<double>(samples));
  }
  PartTime part() {
    std::nth_element(each_.begin(), each_.begin() + static_cast<std::ptrdiff_t>(each_.size() / 2),
                     each_.end());
    return {.mean_ms = total_ / static_cast<double>(samples_), .median_ms = each_[each_.size() / 2]};
  }

 private:
  double total_ = 0;
  std::size_t samples_ = 0;
  std::vector<double> each_;
};

// Steps until they have so many samples, of an endless run.
std::vector<train::StepWork> steps_of(Job& job, int samples) {
  std::vector<train::StepWork> steps;
  std::int64_t have = 0;
  while (have < samples && static_cast<std::int64_t>(steps.size()) < job.plan.total_steps()) {
    steps.push_back(train::share_of_step(job.plan.step(static_cast<std::int64_t>(steps.size())),
                                         job.plan.inputs().sizes, job.plan.inputs().batch_size, 0, 1));
    have += static_cast<std::int64_t>(steps.back().plan.samples.size());
  }
  return steps;
}

void noise_of(const data::RawBatch& raw, std::int64_t frames, std::int64_t channels,
              std::vector<float>& out) {
  for (const data::RawSample& sample : raw.samples) {
    out.resize(static_cast<std::size_t>(frames * sample.residues * channels));
    data::draw_noise(sample.key,
                     {.frames = frames,
                      .first_residue = sample.window.crop_start,
                      .residues = sample.residues,
                      .channels = channels,
                      .frame_stride = sample.residues * channels},
                     out.data());
  }
}

// Each part alone, on this thread; the first pass brings the files into memory.
void measure_parts(const Job& job, const std::vector<train::StepWork>& steps, std::int64_t frames,
                   LoaderResult& result) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  data::BufferPool buffers;
  for (const bool warm : {false, true}) {
    Times host, features, noise;
    std::vector<float> normals;
    for (const train::StepWork& step : steps) {
      for (const data::MicroBatch& batch : step.mine) {
        data::RawBatch raw;
        host.add(batch.size(), [&] { raw = job.dataset.reader().read(step.plan.epoch, batch, buffers); });
        if (!warm || raw.samples.empty()) continue;
        noise.add(batch.size(), [&] { noise_of(raw, frames, job.channels, normals); });
        const at::Tensor bytes = at::from_blob(raw.bytes.get(), {raw.layout.bytes}, at::kByte);
        features.add(batch.size(), [&] { job.dataset.features(raw, bytes); });
        result.bytes = static_cast<double>(raw.layout.types) / static_cast<double>(raw.layout.rows);
        result.shape = std::to_string(frames) + " frames x " + std::to_string(raw.layout.residues) +
                       " residues (" + (raw.layout.half ? "float16" : "float32") + ")";
      }
    }
    if (!warm) continue;
    result.host = host.part();
    result.noise = noise.part();
    result.features = features.part();
    result.features.mean_ms -= result.noise.mean_ms;
    result.features.median_ms -= result.noise.median_ms;
  }
  at::set_num_threads(threads);
}

// What is done with the batches of a step; they come from `feed`.
class Consumer {
 public:
  virtual ~Consumer() = default;
  virtual void step(const train::StepWork& work, train::StepFeed& feed) = 0;
};

class Sleeper : public Consumer {
 public:
  explicit Sleeper(double ms_a_sample) : ms_(ms_a_sample) {}
  void step(const train::StepWork& work, train::StepFeed& feed) override {
    for (const data::MicroBatch& batch : work.mine) {
      feed.batch();
      if (ms_ > 0)
        std::this_thread::sleep_for(duration<double, std::milli>(ms_ * static_cast<double>(batch.size())));
    }
  }

 private:
  double ms_;
};

class Trainer : public Consumer {
 public:
  Trainer(const v1::JobSpec& spec, const Job& job) : training_(spec, job, at::kCPU) {}
  void step(const train::StepWork& work, train::StepFeed& feed) override { training_.step(work, feed); }

 private:
  Training training_;
};

std::unique_ptr<Consumer> consumer_of(const LoaderOptions& options, const v1::JobSpec& spec, const Job& job) {
  if (options.step == StepKind::kTrain) return std::make_unique<Trainer>(spec, job);
  return std::make_unique<Sleeper>(options.step == StepKind::kSleep ? options.step_ms : 0);
}

std::string step_text(const LoaderOptions& options) {
  if (options.step == StepKind::kTrain) return "train";
  return options.step == StepKind::kSleep ? "sleep" : "none";
}

void measure_feed(const LoaderOptions& options, const v1::JobSpec& spec, const Job& job, std::size_t steps,
                  LoaderResult& result) {
  const auto consumer = consumer_of(options, spec, job);
  result.workers = spec.data().num_workers();
  result.step = step_text(options);
  train::StepFeed feed(job.plan, job.dataset,
                       {.threads = result.workers, .end = static_cast<std::int64_t>(steps)});
  const auto begin = steady_clock::now();
  for (std::size_t i = 0; i < steps; ++i) {
    const train::StepWork work = feed.next();
    result.batches += static_cast<double>(work.mine.size());
    consumer->step(work, feed);
  }
  result.seconds = ms_since(begin) / 1e3;
  result.first_wait_ms = duration<double, std::milli>(feed.waited().first).count();
  result.waited_ms = duration<double, std::milli>(feed.waited().others).count();
  result.batches -= 1;
}

}  // namespace

LoaderResult measure_loader(const LoaderOptions& options, const v1::JobSpec& spec) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  train::configure_numerics(spec.optim().precision(), options.threads > 0 ? options.threads : cores);
  Job job(spec);
  const std::vector<train::StepWork> steps = steps_of(job, options.samples);
  LoaderResult result;
  result.noise_kernel = data::normal_kernel_name();
  for (const train::StepWork& step : steps)
    result.samples += static_cast<std::int64_t>(step.plan.samples.size());
  measure_parts(job, steps, spec.data().num_frames(), result);
  measure_feed(options, spec, job, steps.size(), result);
  return result;
}

}  // namespace mdgen::bench
