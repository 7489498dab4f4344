#include "core/train/step_log.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

constexpr const char* kMember = "log";

json binary(const google::protobuf::Message& message) {
  const std::string bytes = message.SerializeAsString();
  return json::binary({bytes.begin(), bytes.end()});
}

template <typename Message>
Message message_of(const json& value) {
  const auto& bytes = value.get_binary();
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error(ErrorCode::kDataLoss, "a kept report cannot be read: " + message.GetTypeName());
  }
  return message;
}

json json_of(const LogRecord& record) {
  return {record.prefix,       record.means,     record.named.numbers, record.named.texts, record.epoch,
          record.trainer_step, record.iter_step, record.count,         record.lr};
}

LogRecord record_of(const json& value) {
  LogRecord record;
  record.prefix = value.at(0);
  record.means = value.at(1).get<NamedMeans>();
  record.named.numbers = value.at(2).get<std::map<std::string, double>>();
  record.named.texts = value.at(3).get<std::map<std::string, std::vector<std::string>>>();
  record.epoch = value.at(4);
  record.trainer_step = value.at(5);
  record.iter_step = value.at(6);
  record.count = value.at(7);
  record.lr = value.at(8);
  return record;
}

}  // namespace

void StepLog::add(v1::StepReport report, std::vector<LogRecord> records) {
  if (!steps_.empty() && report.step() != steps_.back().report.step() + 1) steps_.clear();
  steps_.push_back({std::move(report), std::move(records), std::nullopt});
  if (steps_.size() > kSteps) steps_.pop_front();
}

void StepLog::add(LoggedValidation validation) {
  if (!steps_.empty()) steps_.back().validation = std::move(validation);
}

std::string StepLog::to_bytes() const {
  json list = json::array();
  for (const LoggedStep& step : steps_) {
    json entry{{"report", binary(step.report)}, {"records", json::array()}};
    for (const LogRecord& record : step.records) entry["records"].push_back(json_of(record));
    if (step.validation) {
      entry["validation"] = binary(step.validation->report);
      entry["validation_record"] = json_of(step.validation->record);
    }
    list.push_back(std::move(entry));
  }
  std::string bytes;
  json::to_cbor(list, bytes);
  return bytes;
}

std::string StepLog::added_to_json(const std::string& text) const {
  const std::string bytes = to_bytes();
  nlohmann::ordered_json object = nlohmann::ordered_json::parse(text);
  object[kMember] = std::vector<std::uint8_t>(bytes.begin(), bytes.end());
  return object.dump();
}

StepLog StepLog::from_json(const std::string& text) {
  if (text.empty()) return {};
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains(kMember)) return {};
  const auto bytes = object.at(kMember).get<std::vector<std::uint8_t>>();
  return from_bytes({bytes.begin(), bytes.end()});
}

StepLog StepLog::from_bytes(const std::string& bytes) {
  StepLog log;
  try {
    for (const json& entry : json::from_cbor(bytes)) {
      std::vector<LogRecord> records;
      for (const json& record : entry.at("records")) records.push_back(record_of(record));
      log.add(message_of<v1::StepReport>(entry.at("report")), std::move(records));
      if (!entry.contains("validation")) continue;
      log.add({message_of<v1::ValidationReport>(entry.at("validation")),
               record_of(entry.at("validation_record"))});
    }
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kDataLoss, std::string("kept steps cannot be read: ") + error.what());
  }
  return log;
}

}  // namespace mdgen::train
