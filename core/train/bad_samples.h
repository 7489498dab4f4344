// Samples that could not be read and were left out (data.on_bad_sample: skip).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/comm/collective.h"
#include "core/data/batch.h"
#include "core/train/failure.h"
#include "core/train/loop_state.h"
#include "mdgen/v1/manifest.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

using NamedSamples = google::protobuf::RepeatedPtrField<v1::NamedSample>;

// Every rank's, by virtual sample; the same on all ranks, all of which must call it. `manifest` has their
// entries' names.
NamedSamples gather_bad_samples(comm::Collective& collective, at::Device device,
                                const std::vector<data::BadSample>& mine, const v1::Manifest& manifest);

// Counts a step's in the loop's state. When more than half of the samples that an epoch has were bad, the
// data set is: RunFailure(TooManyBadSamples), naming the last.
std::optional<RunFailure> count_bad_samples(LoopState& loop, const v1::StepReport& report,
                                            std::int64_t epoch_samples);

}  // namespace mdgen::train
