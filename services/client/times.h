// Times and durations as people write and read them. Pure functions.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace mdgen::client {

using WallTime = std::chrono::system_clock::time_point;

// "45s", "1m20s", "2h03m", "3d04h"; "?" for what is no duration.
std::string duration_text(double seconds);

// "09:15:02Z".
std::string clock_text(const google::protobuf::Timestamp& time);

// "2026-11-23T09:15:02Z (3m05s ago)", "… (in 2h00m)".
std::string when_text(const google::protobuf::Timestamp& time, WallTime now);

// Seconds since then; below 0: still to come.
double age_seconds(const google::protobuf::Timestamp& time, WallTime now);

// Seconds of "90", "45s", "10m", "1.5h", "1h30m", "2d"; nothing for what is none of these.
std::optional<double> parse_duration(std::string_view text);

// So long before `now` ("10m"), or RFC 3339 ("2026-11-23T09:15:02Z"); nothing for what is neither.
std::optional<google::protobuf::Timestamp> parse_since(const std::string& text, WallTime now);

}  // namespace mdgen::client
