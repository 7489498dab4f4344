#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "core/config/json.h"
#include "core/ledger/json.h"
#include "core/ledger/verify.h"
#include "services/client/format.h"
#include "services/client/ledger_source.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

using Row = std::array<std::string, 7>;

std::string steps_text(const v1::LedgerRecord& record) {
  if (record.kind() == v1::LEDGER_KIND_START) return std::to_string(record.to());
  if (record.kind() == v1::LEDGER_KIND_ROLLBACK) return fmt::format("{}->{}", record.from(), record.to());
  return record.first_step() == record.last_step()
             ? std::to_string(record.first_step())
             : fmt::format("{}-{}", record.first_step(), record.last_step());
}

std::string what_text(const v1::LedgerRecord& record) {
  std::string text = record.cause();
  for (const v1::NamedSample& sample : record.named()) {
    text += fmt::format("{}{} ({}){}", text.empty() ? "" : ", ", sample.virtual_sample(), sample.entry(),
                        sample.reason().empty() ? "" : ": " + sample.reason());
  }
  return one_line(text);
}

Row row_of(const v1::LedgerRecord& record) {
  const bool has_sums = record.kind() == v1::LEDGER_KIND_RANGE || record.kind() == v1::LEDGER_KIND_SKIPPED;
  return {ledger::kind_name(record.kind()),
          std::to_string(record.generation()),
          steps_text(record),
          std::to_string(record.world_size()),
          has_sums ? std::to_string(record.samples()) : "-",
          has_sums ? fmt::format("{:016x}", record.hash_sum()) : "-",
          what_text(record)};
}

std::string table_of(const ledger::Records& records) {
  std::vector<Row> rows{{"KIND", "GENERATION", "STEPS", "WORLD", "SAMPLES", "HASH SUM", "WHAT"}};
  for (const v1::LedgerRecord& record : records) rows.push_back(row_of(record));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    std::string of_row;
    for (std::size_t i = 0; i < row.size(); ++i) of_row += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += of_row.substr(0, of_row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

config::Json verdict_json(const std::string& job, const ledger::Verdict& verdict) {
  return {{"job", job},
          {"ok", verdict.ok()},
          {"steps", verdict.last_step - verdict.first_step},
          {"first_step", verdict.first_step},
          {"last_step", verdict.last_step},
          {"samples", verdict.samples},
          {"repeats", verdict.repeats},
          {"gaps", verdict.gaps},
          {"rollbacks", verdict.rollbacks},
          {"lost_steps", verdict.lost_steps},
          {"generations", verdict.generations},
          {"skipped_steps", verdict.skipped_steps},
          {"bad_samples", verdict.bad_samples},
          {"problems", verdict.problems}};
}

}  // namespace

ExitCode show_ledger(const Options& options, const Surroundings& world) {
  LedgerSource source = read_ledger(options, world, false);
  std::erase_if(source.records, [&](const v1::LedgerRecord& record) {
    return std::max({record.last_step(), record.from(), record.to()}) < options.since_step;
  });
  if (options.newest && source.records.size() > static_cast<std::size_t>(*options.newest))
    source.records.erase(source.records.begin(), source.records.end() - *options.newest);
  if (options.output == Output::kTable) {
    world.out << table_of(source.records) << std::flush;
  } else {
    print_json(
        {{"job", source.job}, {"end_step", source.end_step}, {"records", ledger::to_json(source.records)}},
        options, world.out);
  }
  return kExitOk;
}

ExitCode verify_ledger(const Options& options, const Surroundings& world) {
  const LedgerSource source = read_ledger(options, world, true);
  const ledger::Verdict verdict =
      ledger::verify(source.records, source.spec, source.manifest, source.end_step);
  if (options.output == Output::kTable) {
    for (const std::string& problem : verdict.problems) world.out << one_line(problem) << '\n';
    world.out << verdict.details() << '\n' << verdict.summary() << std::endl;
  } else {
    print_json(verdict_json(source.job, verdict), options, world.out);
  }
  return verdict.ok() ? kExitOk : kExitFailed;
}

}  // namespace mdgen::client
