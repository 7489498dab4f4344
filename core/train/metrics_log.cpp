#include "core/train/metrics_log.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/ledger/json.h"

namespace mdgen::train {
namespace {

using nlohmann::ordered_json;

bool reaches(const std::string& line, std::int64_t step) {
  const ordered_json object = ordered_json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer()) return false;
  return object["step"].get<std::int64_t>() <= step;
}

LineKind kind_of(const std::string& prefix) {
  if (prefix == "iter") return LineKind::kIter;
  return prefix == "train" ? LineKind::kTrain : LineKind::kValidation;
}

void add_times(const v1::StepTimes& times, ordered_json& line) {
  line["data_seconds"] = times.data();
  line["forward_seconds"] = times.forward();
  line["backward_seconds"] = times.backward();
  line["reduce_seconds"] = times.reduce();
  line["optimizer_seconds"] = times.optimizer();
  line["checkpoint_seconds"] = times.checkpoint();
}

}  // namespace

std::string metrics_line(const v1::StepReport& report) {
  ordered_json line{{"step", report.step()},       {"epoch", report.epoch()},
                    {"loss", report.loss()},       {"grad_norm", report.grad_norm()},
                    {"lr", report.lr()},           {"seconds", report.seconds()},
                    {"samples", report.samples()}, {"tokens", report.tokens()}};
  if (report.seconds() > 0) {
    line["tokens_per_second"] = static_cast<double>(report.tokens()) / report.seconds();
  }
  if (report.has_times()) add_times(report.times(), line);
  if (report.flops() > 0) line["flops"] = report.flops();
  if (report.skipped()) line["skipped"] = true;
  if (report.loss_scale() > 0) line["loss_scale"] = report.loss_scale();
  if (report.overflowed()) line["overflowed"] = true;
  if (report.bad_samples_size() > 0) line["bad_samples"] = ledger::named_to_json(report.bad_samples());
  return line.dump();
}

std::string metrics_line(const v1::ValidationReport& report, const LogRecord& record) {
  ordered_json line{{"step", report.step()},
                    {"epoch", report.epoch()},
                    {"val_loss", report.val_loss()},
                    {"samples", report.samples()}};
  if (report.bad_samples_size() > 0) line["bad_samples"] = ledger::named_to_json(report.bad_samples());
  const ordered_json more = ordered_json::parse(metrics_line(record));
  for (const auto& [name, value] : more.items()) {
    if (!line.contains(name)) line[name] = value;
  }
  return line.dump();
}

std::string keep_until(const std::string& text, std::int64_t step, std::int64_t& dropped) {
  std::string kept;
  dropped = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const bool whole = !lines.eof();
    if (whole && reaches(line, step)) {
      kept += line + "\n";
    } else {
      ++dropped;
    }
  }
  return kept;
}

LinePlace place_of_record(const LogRecord& record) { return {record.trainer_step, kind_of(record.prefix)}; }

std::optional<LinePlace> last_place(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t before = text.size() > 1 ? text.rfind('\n', text.size() - 2) : std::string::npos;
  const ordered_json line =
      ordered_json::parse(text.substr(before == std::string::npos ? 0 : before + 1), nullptr, false);
  if (!line.is_object() || !line.contains("step")) return std::nullopt;
  for (const char* prefix : {"iter", "train", "val"}) {
    const std::string name = prefix;
    if (line.contains(name + "_count") || line.contains(name + "_loss")) {
      return LinePlace{line["step"].get<std::int64_t>(), kind_of(name)};
    }
  }
  return LinePlace{line["step"].get<std::int64_t>(), LineKind::kStep};
}

MetricsLog::MetricsLog(std::filesystem::path file, std::int64_t step) {
  if (std::filesystem::exists(file)) {
    const std::string kept = keep_until(read_file(file), step, dropped_);
    if (dropped_ > 0) replace_file(file, kept);
    last_ = last_place(kept);
  }
  file_.emplace(std::move(file));
}

void MetricsLog::append(const LinePlace& place, const std::string& line) {
  file_->append(line + "\n");
  last_ = place;
}

}  // namespace mdgen::train
