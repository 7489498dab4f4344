#include "services/client/event_text.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/fmt/fmt.h>

#include "services/client/format.h"

namespace mdgen::client {
namespace {

Tint tint_of_event(const v1::JobEvent& event) {
  if (event.kind() == "State") return tint_of(event.state());
  if (event.kind() == "Recovery" || event.kind() == "Warning") return Tint::kWarn;
  return Tint::kNone;
}

}  // namespace

std::string event_text(const v1::JobEvent& event, const Look& look) {
  using google::protobuf::util::TimeUtil;
  std::string what = reason_text(event.reason(), event.message());
  if (event.kind() == "State" && event.state() != v1::JOB_STATE_UNSPECIFIED)
    what = state_name(event.state()) + (what.empty() ? "" : "  " + what);
  if (!event.actor().empty()) what += "  (by " + one_line(event.actor()) + ")";
  return tinted(TimeUtil::ToString(event.at()).substr(0, 19) + "Z", Tint::kDim, look) +
         fmt::format(" {:>5}  ", event.sequence()) +
         tinted(fmt::format("{:<10}", one_line(event.kind())), tint_of_event(event), look) + "  " + what;
}

}  // namespace mdgen::client
