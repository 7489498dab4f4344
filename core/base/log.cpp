#include "core/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <cstdlib>
#include <string_view>

namespace mdgen {

void init_logging(const std::string& who) {
  auto logger = std::make_shared<spdlog::logger>(who, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %n: %v", spdlog::pattern_time_type::utc);
  const char* wanted = std::getenv("MDGEN_LOG");
  const auto level = wanted != nullptr ? spdlog::level::from_str(wanted) : spdlog::level::info;
  // from_str answers "off" to what it does not know.
  const bool unknown = level == spdlog::level::off && std::string_view(wanted) != "off";
  logger->set_level(unknown ? spdlog::level::info : level);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  if (unknown) spdlog::warn("MDGEN_LOG={} is no level; info is taken", wanted);
}

}  // namespace mdgen
