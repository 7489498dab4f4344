#include "core/bench/checkpoint_bench.h"

#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/bench/synthetic_set.h"
#include "core/checkpoint/background_writer.h"
#include "core/checkpoint/store.h"
#include "core/comm/gradient_layout.h"
#include "core/train/numerics.h"
#include "core/train/run_state.h"

namespace mdgen::bench {
namespace {

using checkpoint::TrainState;

// Adam makes its moments with the first gradients.
void step_once(train::RunState& state) {
  const comm::GradientLayout layout(state.parameter_list());
  const at::Tensor gradients = at::randn({layout.elements()}, layout.options());
  for (std::size_t i = 0; i < layout.parameters().size(); ++i)
    at::Tensor(layout.parameters()[i]).mutable_grad() = layout.view(gradients, i);
  state.apply_gradients();
  state.drop_gradients();
}

std::vector<at::Tensor> tensors_of(const TrainState& state) {
  std::vector<at::Tensor> tensors;
  for (const auto* set : {&state.model, &state.ema, &state.optimizer})
    for (const auto& [name, tensor] : *set) tensors.push_back(tensor.contiguous());
  return tensors;
}

void copy_plainly(const std::vector<at::Tensor>& from, const at::Tensor& to) {
  auto* target = static_cast<char*>(to.data_ptr());
  for (const at::Tensor& tensor : from) {
    std::memcpy(target, tensor.data_ptr(), tensor.nbytes());
    target += tensor.nbytes();
  }
}

struct Measured {
  std::vector<double> plain, fresh, blocked, durable, persisted, verify, read, load, restore;
};

class Rounds {
 public:
  Rounds(const v1::JobSpec& spec, const std::filesystem::path& folder)
      : spec_(spec),
        background_(folder / "background"),
        foreground_(folder / "foreground"),
        state_(spec, at::kCPU),
        restored_(spec, at::kCPU) {
    step_once(state_);
    tensors_ = tensors_of(state_.live());
    for (const at::Tensor& tensor : tensors_) bytes_ += static_cast<std::int64_t>(tensor.nbytes());
    warm_ = at::zeros({bytes_}, at::kByte);
  }

  void run(int rounds) {
    checkpoint::BackgroundWriter writer({background_, 1, {.keep_last = 1}},
                                        [this](const checkpoint::WriteResult& result) {
                                          measured_.blocked.push_back(result.blocked_seconds);
                                          measured_.persisted.push_back(result.persist_seconds);
                                        });
    writer.prepare(state_.live());
    for (int round = 1; round <= rounds; ++round) {
      writer.flush();
      state_.progress().steps = round;
      measured_.plain.push_back(seconds_of([&] { copy_plainly(tensors_, warm_); }));
      measured_.fresh.push_back(seconds_of([&] { checkpoint::snapshot(state_.live()); }));
      writer.write(state_.live());
      writer.flush();
      publish(round);
      restore();
    }
  }

  const Measured& measured() const { return measured_; }
  std::int64_t tensors() const { return static_cast<std::int64_t>(tensors_.size()); }
  std::int64_t bytes() const { return bytes_; }
  std::int64_t file_bytes() const { return file_bytes_; }

 private:
  void publish(int round) {
    const TrainState state = state_.live();
    measured_.durable.push_back(seconds_of([&] {
      checkpoint::publish_recorded(
          foreground_, {round, 1}, state.summary,
          [&](const std::filesystem::path& folder) { return checkpoint::write_files(folder, state); });
    }));
    std::filesystem::remove_all(foreground_);
  }

  void restore() {
    std::optional<checkpoint::Found> found;
    TrainState saved;
    std::vector<std::string> notes;
    const double verify = seconds_of([&] { found = checkpoint::newest_good(background_, notes); });
    if (!found) throw Error(ErrorCode::kDataLoss, background_.string() + ": the checkpoint does not verify");
    const double read = seconds_of([&] { saved = checkpoint::read_files(found->folder); });
    const double load = seconds_of([&] { restored_.restore(saved); });
    if (restored_.digest() != state_.digest())
      throw Error(ErrorCode::kDataLoss,
                  found->folder.string() + ": the restored state differs from the one that was saved");
    file_bytes_ = found->manifest.bytes();
    measured_.verify.push_back(verify);
    measured_.read.push_back(read);
    measured_.load.push_back(load);
    measured_.restore.push_back(verify + read + load);
  }

  const v1::JobSpec& spec_;
  std::filesystem::path background_, foreground_;
  train::RunState state_, restored_;
  std::vector<at::Tensor> tensors_;
  at::Tensor warm_;
  std::int64_t bytes_ = 0, file_bytes_ = 0;
  Measured measured_;
};

}  // namespace

CheckpointResult measure_checkpoint(const CheckpointOptions& options, const v1::JobSpec& spec) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  CheckpointResult result{.options = options, .threads = options.threads > 0 ? options.threads : cores};
  train::configure_numerics(spec.optim().precision(), result.threads);
  const ScratchFolder folder(options.dir);
  Rounds rounds(spec, folder.path());
  rounds.run(options.rounds);
  const Measured& measured = rounds.measured();
  result.tensors = rounds.tensors();
  result.bytes = rounds.bytes();
  result.file_bytes = rounds.file_bytes();
  result.plain_copy = spread(measured.plain);
  result.fresh_copy = spread(measured.fresh);
  result.blocked = spread(measured.blocked);
  result.first_blocked = measured.blocked.front();
  result.durable = spread(measured.durable);
  result.persisted = spread(measured.persisted);
  result.verify = spread(measured.verify);
  result.read = spread(measured.read);
  result.load = spread(measured.load);
  result.restore = spread(measured.restore);
  return result;
}

}  // namespace mdgen::bench
