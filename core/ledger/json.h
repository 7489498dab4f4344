// A ledger as JSON: in state.json and from mdgenctl. No LibTorch.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/ledger/writer.h"

namespace mdgen::ledger {

// An object with the fields that its kind has; `kind` as kind_name says.
nlohmann::ordered_json record_to_json(const v1::LedgerRecord& record);
// An array of them.
nlohmann::ordered_json to_json(const Records& records);

// What to_json wrote, as text; "" is an empty ledger. Throws Error(kDataLoss).
Records from_json(const std::string& text);

// [[17, "4ake_A"], …], with the reason as the third where there is one.
nlohmann::ordered_json named_to_json(const google::protobuf::RepeatedPtrField<v1::NamedSample>& named);
google::protobuf::RepeatedPtrField<v1::NamedSample> named_from_json(const nlohmann::ordered_json& list);

}  // namespace mdgen::ledger
