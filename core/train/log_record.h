// One dictionary that the reference would print (wrapper.py, print_log): the means since the last one of its
// kind, under the reference's names.
//
//   iter    every print_freq optimizer steps
//   train   at the end of a training epoch
//   val     after a validation
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/train/batch_metrics.h"
#include "core/train/named_values.h"

namespace mdgen::train {

struct LogRecord {
  std::string prefix;  // "iter", "train" or "val"
  NamedMeans means;    // names without prefix
  NamedSummary named;  // val only
  std::int64_t epoch = 0;
  std::int64_t trainer_step = 0;  // optimizer steps applied
  std::int64_t iter_step = 0;     // micro-batches computed so far, on all ranks, validations' included
  std::int64_t count = 0;         // micro-batches that the means are over
  double lr = 0;
};

// All numbers with their whole names ("train_loss", "epoch", …): the curves of TensorBoard.
NamedMeans scalars(const LogRecord& record);

// As metrics.jsonl's line: "step" and "epoch" first; what is not finite is null.
//   {"step":12,"epoch":0,"train_loss":0.9,"train_time":0.48,…,"trainer_step":12,"iter_step":24,"train_count":24,
//    "lr":0.0001}
std::string metrics_line(const LogRecord& record);

// As the Python dictionary in log.out: {'train_loss': 0.9, …, 'epoch': 0, 'trainer_step': 12, …}.
std::string dictionary_text(const LogRecord& record);

}  // namespace mdgen::train
