#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/bench/checkpoint_bench.h"

namespace mdgen::bench {
namespace {

std::string line(const char* name, const Spread& seconds) {
  return fmt::format("  {:<44}{:>9.1f} ms  ({:.1f} to {:.1f})\n", name, 1e3 * seconds.median,
                     1e3 * seconds.least, 1e3 * seconds.most);
}

void add(nlohmann::ordered_json& object, const std::string& name, const Spread& seconds) {
  object[name] = seconds.median;
  object[name + "_min"] = seconds.least;
  object[name + "_max"] = seconds.most;
}

}  // namespace

std::string table(const CheckpointResult& result) {
  std::string text =
      fmt::format("{:.1f} MB in {} tensors, {:.1f} MB of files; {} threads, median of {}\n\n",
                  static_cast<double>(result.bytes) / 1e6, result.tensors,
                  static_cast<double>(result.file_bytes) / 1e6, result.threads, result.options.rounds);
  text += line("plain copy into a warm buffer (memcpy)", result.plain_copy);
  text += line("copy into a fresh buffer", result.fresh_copy);
  text += line("the step waits", result.blocked);
  text += line("written, fsynced and renamed", result.durable);
  text += line("in the background, read back as well", result.persisted);
  text += line("restore", result.restore);
  text += line("  found and verified", result.verify);
  text += line("  read", result.read);
  text += line("  taken over", result.load);
  text += fmt::format(
      "\n  waits / plain copy {:.2f}, the first time {:.2f}; {:.0f} MB/s to the disk, {:.0f} MB/s back\n",
      result.blocked.median / result.plain_copy.median, result.first_blocked / result.plain_copy.median,
      result.write_rate() / 1e6, result.restore_rate() / 1e6);
  return text;
}

std::string json(const CheckpointResult& result) {
  nlohmann::ordered_json object{{"dir", result.options.dir.string()},
                                {"rounds", result.options.rounds},
                                {"threads", result.threads},
                                {"tensors", result.tensors},
                                {"bytes", result.bytes},
                                {"file_bytes", result.file_bytes}};
  add(object, "plain_copy_seconds", result.plain_copy);
  add(object, "fresh_copy_seconds", result.fresh_copy);
  add(object, "blocked_seconds", result.blocked);
  object["blocked_seconds_first"] = result.first_blocked;
  add(object, "durable_seconds", result.durable);
  add(object, "persist_seconds", result.persisted);
  add(object, "verify_seconds", result.verify);
  add(object, "read_seconds", result.read);
  add(object, "load_seconds", result.load);
  add(object, "restore_seconds", result.restore);
  object["write_bytes_per_second"] = result.write_rate();
  object["restore_bytes_per_second"] = result.restore_rate();
  return object.dump(2);
}

}  // namespace mdgen::bench
