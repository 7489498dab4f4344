// Series of a run as text for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "mdgen/v1/job_service.pb.h"
#include "services/client/look.h"

namespace mdgen::client {

// A row a series: step and value of its last point, smallest, largest, and on a terminal its curve.
std::string metrics_text(const v1::GetMetricsResponse& metrics, const Look& look);

// A line a step: "step 12  loss 0.8  lr 1e-3"; the steps in order.
std::vector<std::string> point_lines(const v1::GetMetricsResponse& metrics);

// As metrics.jsonl has them: {"step":12,"loss":0.8,…}; the steps in order.
std::vector<std::string> point_objects(const v1::GetMetricsResponse& metrics);

// Adds the points of `more` to the series of the same names.
void append(v1::GetMetricsResponse& known, const v1::GetMetricsResponse& more);

}  // namespace mdgen::client
