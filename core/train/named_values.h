// Values with names of their own that single micro-batches of a validation give, such as those of samples
// drawn from them.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::train {

// Of one micro-batch; names without "val_".
struct NamedValues {
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;
  bool empty() const { return numbers.empty() && texts.empty(); }
};

// Of a validation: means over the micro-batches that gave the number (NaN left out; none left: NaN), and the
// texts in the micro-batches' order.
struct NamedSummary {
  std::map<std::string, double> numbers;
  std::map<std::string, std::vector<std::string>> texts;
};

// `mine`: this rank's micro-batches by their number in the validation. The result is the same on every rank,
// and the same bits whatever rank had which micro-batch. Every rank must call it.
NamedSummary gather_values(comm::Collective& collective, at::Device device,
                           const std::map<std::int64_t, NamedValues>& mine);

}  // namespace mdgen::train
