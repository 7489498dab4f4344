// Events as text for people. Pure.
#pragma once

#include <string>

#include "mdgen/v1/job.pb.h"
#include "services/client/look.h"

namespace mdgen::client {

// "2026-11-23T09:15:02Z     7  Recovery    TrainerExit: rank 1 ended by signal 9", perhaps "  (by alice)".
std::string event_text(const v1::JobEvent& event, const Look& look);

}  // namespace mdgen::client
