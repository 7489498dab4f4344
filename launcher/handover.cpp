#include "launcher/handover.h"

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace mdgen::launcher {

std::string to_text(const Handover& handover) {
  return nlohmann::json{{"addresses", handover.addresses},
                        {"certificate", handover.access.trusted},
                        {"token", handover.access.token}}
      .dump();
}

Handover handover_from_text(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return {json.at("addresses").get<std::vector<std::string>>(),
            {json.at("certificate").get<std::string>(), json.at("token").get<std::string>()}};
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kDataLoss, "what rank 0 has left for the other ranks is not from an mdgen-launch");
  }
}

}  // namespace mdgen::launcher
