// Workers and queue as text for people. Pure functions.
#pragma once

#include <string>

#include "mdgen/v1/job_service.pb.h"
#include "mdgen/v1/pool_service.pb.h"
#include "services/client/look.h"
#include "services/client/times.h"

namespace mdgen::client {

// A table, a row a worker; "no workers" when there is none.
std::string workers_text(const v1::ListWorkersResponse& workers, const Look& look);

// A line about the pool and a table, a row a job that waits.
std::string queue_text(const v1::GetQueueResponse& queue, WallTime now, const Look& look);

// What `top` shows.
struct Overview {
  std::string address;
  v1::ListJobsResponse jobs;  // that have not ended
  v1::ListWorkersResponse workers;
  v1::GetQueueResponse queue;
};
std::string top_text(const Overview& overview, WallTime now, const Look& look);

}  // namespace mdgen::client
