#include "core/ledger/json.h"

#include "core/base/error.h"

namespace mdgen::ledger {
namespace {

using Json = nlohmann::ordered_json;

v1::LedgerKind kind_named(const std::string& name) {
  for (int number = v1::LedgerKind_MIN; number <= v1::LedgerKind_MAX; ++number) {
    const auto kind = static_cast<v1::LedgerKind>(number);
    if (number > 0 && kind_name(kind) == name) return kind;
  }
  throw Error(ErrorCode::kDataLoss, "a ledger record of kind \"" + name + "\"");
}

v1::LedgerRecord record_from_json(const Json& json) {
  v1::LedgerRecord record;
  record.set_kind(kind_named(json.at("kind").get<std::string>()));
  record.set_sequence(json.at("sequence").get<std::int64_t>());
  record.set_generation(json.at("generation").get<std::int64_t>());
  record.set_world_size(json.at("world_size").get<std::int32_t>());
  record.set_plan_digest(json.at("plan_digest").get<std::string>());
  record.set_first_step(json.value("first_step", std::int64_t{0}));
  record.set_last_step(json.value("last_step", std::int64_t{0}));
  record.set_samples(json.value("samples", std::int64_t{0}));
  record.set_hash_sum(json.value("hash_sum", std::uint64_t{0}));
  record.set_from(json.value("from", std::int64_t{0}));
  record.set_to(json.value("to", std::int64_t{0}));
  record.set_cause(json.value("cause", std::string()));
  if (json.contains("named")) *record.mutable_named() = named_from_json(json.at("named"));
  return record;
}

}  // namespace

Json named_to_json(const google::protobuf::RepeatedPtrField<v1::NamedSample>& named) {
  Json list = Json::array();
  for (const v1::NamedSample& sample : named) {
    Json one = {sample.virtual_sample(), sample.entry()};
    if (!sample.reason().empty()) one.push_back(sample.reason());
    list.push_back(std::move(one));
  }
  return list;
}

google::protobuf::RepeatedPtrField<v1::NamedSample> named_from_json(const Json& list) {
  google::protobuf::RepeatedPtrField<v1::NamedSample> named;
  for (const Json& one : list) {
    v1::NamedSample& sample = *named.Add();
    sample.set_virtual_sample(one.at(0).get<std::uint32_t>());
    sample.set_entry(one.at(1).get<std::string>());
    if (one.size() > 2) sample.set_reason(one.at(2).get<std::string>());
  }
  return named;
}

Json record_to_json(const v1::LedgerRecord& record) {
  Json json = {{"kind", kind_name(record.kind())},
               {"sequence", record.sequence()},
               {"generation", record.generation()},
               {"world_size", record.world_size()},
               {"plan_digest", record.plan_digest()}};
  const v1::LedgerKind kind = record.kind();
  if (kind == v1::LEDGER_KIND_ROLLBACK) json["from"] = record.from();
  if (kind == v1::LEDGER_KIND_ROLLBACK || kind == v1::LEDGER_KIND_START) {
    json["to"] = record.to();
  } else {
    json["first_step"] = record.first_step();
    json["last_step"] = record.last_step();
  }
  if (kind == v1::LEDGER_KIND_RANGE || kind == v1::LEDGER_KIND_SKIPPED) {
    json["samples"] = record.samples();
    json["hash_sum"] = record.hash_sum();
  }
  if (!record.cause().empty()) json["cause"] = record.cause();
  if (record.named_size() > 0) json["named"] = named_to_json(record.named());
  return json;
}

Json to_json(const Records& records) {
  Json list = Json::array();
  for (const v1::LedgerRecord& record : records) list.push_back(record_to_json(record));
  return list;
}

Records from_json(const std::string& text) {
  Records records;
  if (text.empty()) return records;
  try {
    for (const Json& one : Json::parse(text)) records.push_back(record_from_json(one));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, std::string("the ledger cannot be read: ") + error.what());
  }
  return records;
}

}  // namespace mdgen::ledger
