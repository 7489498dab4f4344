#include "core/train/bad_samples.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "core/train/agreement.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

}  // namespace

NamedSamples gather_bad_samples(comm::Collective& collective, at::Device device,
                                const std::vector<data::BadSample>& mine, const v1::Manifest& manifest) {
  json own = json::array();
  for (const data::BadSample& sample : mine) own.push_back({sample.virtual_sample, sample.reason});
  NamedSamples all;
  for (const std::string& text :
       gather_texts(collective, device, own.dump(-1, ' ', false, json::error_handler_t::replace))) {
    for (const json& sample : json::parse(text)) {
      v1::NamedSample& named = *all.Add();
      named.set_virtual_sample(sample.at(0).get<std::uint32_t>());
      named.set_reason(sample.at(1).get<std::string>());
      const auto entries = static_cast<std::uint32_t>(manifest.entries_size());
      named.set_entry(manifest.entries(static_cast<int>(named.virtual_sample() % entries)).name());
    }
  }
  std::sort(all.begin(), all.end(), [](const v1::NamedSample& a, const v1::NamedSample& b) {
    return a.virtual_sample() < b.virtual_sample();
  });
  return all;
}

std::optional<RunFailure> count_bad_samples(LoopState& loop, const v1::StepReport& report,
                                            std::int64_t epoch_samples) {
  if (loop.bad_epoch != report.epoch()) {
    loop.bad_epoch = report.epoch();
    loop.bad_samples = 0;
  }
  loop.bad_samples += report.bad_samples_size();
  if (report.bad_samples().empty() || 2 * loop.bad_samples <= epoch_samples) return std::nullopt;
  const v1::NamedSample& last = *report.bad_samples().rbegin();
  return RunFailure(ErrorCode::kDataLoss, "TooManyBadSamples",
                    std::to_string(loop.bad_samples) + " of the " + std::to_string(epoch_samples) +
                        " samples of epoch " + std::to_string(report.epoch()) +
                        " cannot be used, more than half (data.on_bad_sample); the last, in step " +
                        std::to_string(report.step()) + ": virtual sample " +
                        std::to_string(last.virtual_sample()) + " (" + last.entry() + "): " + last.reason());
}

}  // namespace mdgen::train
