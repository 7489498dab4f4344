#include "core/train/teaching_ipa.h"

#include <spdlog/spdlog.h>

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/format/npy_writer.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

template <typename Number>
std::string shortest_text(Number value) {
  std::array<char, 64> text{};
  const bool plain = value == 0 || std::abs(value) >= Number(1e-4);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format).ptr;
  std::string shortest(text.data(), end);
  if (shortest.find_first_of(".en") == std::string::npos) shortest += ".0";
  return shortest;
}

}  // namespace

std::string flow_time_text(float t) { return shortest_text(t); }
std::string flow_time_text(double t) { return shortest_text(t); }

TeachingIpa::TeachingIpa(std::filesystem::path folder, std::int64_t max_files)
    : folder_(std::move(folder)), max_files_(max_files) {}

void TeachingIpa::write(const at::Tensor& t, const at::Tensor& ipa_output, const at::Tensor& mask) {
  if (broken_ || (max_files_ > 0 && written_ >= max_files_)) return;
  const torch::NoGradGuard no_grad;
  const at::Tensor times = t.detach().cpu();
  const at::Tensor values = ipa_output.detach().to(at::kCPU, at::kFloat);
  const at::Tensor real = mask.detach().cpu() > 0;
  try {
    std::filesystem::create_directories(folder_);
    for (std::int64_t row = 0; row < times.size(0); ++row) {
      if (max_files_ > 0 && written_ >= max_files_) return;
      const std::string name = times.scalar_type() == at::kDouble ? flow_time_text(times[row].item<double>())
                                                                  : flow_time_text(times[row].item<float>());
      write_sample(name, values[row].index({real[row]}).contiguous());
      ++written_;
    }
  } catch (const std::exception& error) {
    broken_ = true;
    spdlog::warn("teaching_ipa: {}; no more files are written", message_without_backtrace(error));
  }
}

void TeachingIpa::write_sample(const std::string& name, const at::Tensor& values) {
  const std::array<std::int64_t, 3> shape = {1, values.size(0), values.size(1)};
  try {
    format::NpyWriter writer(folder_ / (name + ".npy"), "<f4", shape);
    writer.append({static_cast<const std::byte*>(values.data_ptr()), values.nbytes()});
    writer.finish();
    writer.publish();
  } catch (const Error& error) {
    // Another rank is writing a sample of the same flow time: one of the two is as good as the other.
    if (error.code() != ErrorCode::kAborted) throw;
  }
}

}  // namespace mdgen::train
