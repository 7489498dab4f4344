// The gauges of /metrics: what is so at this moment. docs/metrics.md says what each means.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "services/coordinator/metrics_view.h"

namespace mdgen::coordinator {

std::vector<prometheus::MetricFamily> gauges(const MetricsView& view);

}  // namespace mdgen::coordinator
