#include "services/client/slurm_script.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "core/base/error.h"

namespace mdgen::client {
namespace {

constexpr int kComputeThreads = 4;  // of a CPU worker whose spec leaves the threads open
constexpr std::string_view kEndOfSpec = "END_OF_SPEC";

// As one word for the shell.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

bool is_control(unsigned char c) { return c < ' ' || c == 0x7F; }

// As one word of a directive, of which a line break would begin another.
std::string directive_value(const std::string& text) {
  if (std::any_of(text.begin(), text.end(), is_control))
    throw Error(ErrorCode::kInvalidArgument,
                "a batch script cannot hold control characters as in \"" + text + "\"");
  constexpr std::string_view kPlain = "_.,:;/@%+-=[]()*";
  const auto is_plain = [&](unsigned char c) {
    return std::isalnum(c) != 0 || kPlain.find(static_cast<char>(c)) != kPlain.npos;
  };
  if (std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

// Ends the spec in the script, and is no line of it.
std::string end_mark(const std::string& yaml) {
  std::string mark(kEndOfSpec);
  while (yaml.find(mark) != yaml.npos) mark += '_';
  return mark;
}

// What stands for itself in sbatch's file names, where % begins a pattern.
std::string file_pattern(const std::string& file) {
  std::string result;
  for (const char c : file) result += c == '%' ? "%%" : std::string(1, c);
  return result;
}

int cpus_per_task(const config::JobSpec& spec, const std::string& device) {
  const int readers = spec.data().num_workers();
  if (spec.threads_per_worker() > 0) return spec.threads_per_worker() + readers;
  return (device == "cpu" ? kComputeThreads : 1) + readers;
}

void check_directive(const std::string& directive) {
  const bool one_line = std::none_of(directive.begin(), directive.end(), is_control);
  if (!one_line || directive.empty() || directive.front() == '-' || directive.front() == '=') {
    throw Error(ErrorCode::kInvalidArgument,
                "--slurm \"" + directive + "\": give NAME=VALUE or NAME as sbatch knows it, without dashes");
  }
}

std::string directives(const config::JobSpec& spec, const SlurmOptions& options) {
  const auto run_folder = std::filesystem::path(spec.work_dir()) / spec.name();
  std::vector<std::string> lines = {
      "job-name=" + directive_value(spec.name()),
      "ntasks=" + std::to_string(spec.workers().max()),
      "cpus-per-task=" + std::to_string(cpus_per_task(spec, options.device)),
  };
  if (options.device != "cpu") lines.push_back("gpus-per-task=1");
  // Outside of the run folder, which is not there yet.
  lines.push_back("output=" + directive_value(file_pattern(run_folder.string()) + ".slurm-%j.out"));
  lines.insert(lines.end(), {"open-mode=append", "requeue", "signal=USR1@120"});
  std::string result;
  for (const std::string& line : lines) result += "#SBATCH --" + line + "\n";
  for (const std::string& own : options.directives) {
    check_directive(own);
    const auto equals = std::min(own.find('='), own.size());
    const std::string value = equals == own.size() ? "" : "=" + directive_value(own.substr(equals + 1));
    result += "#SBATCH --" + own.substr(0, equals) + value + "\n";
  }
  return result;
}

}  // namespace

std::string slurm_script(const config::JobSpec& resolved, const SlurmOptions& options) {
  if (options.device != "cpu" && options.device != "cuda") {
    throw Error(ErrorCode::kInvalidArgument,
                "device '" + options.device + "' under Slurm; allowed: cpu, cuda (a GPU for each worker)");
  }
  const std::string yaml = config::to_yaml(resolved);
  const std::string end = end_mark(yaml);
  const auto run_folder = std::filesystem::path(resolved.work_dir()) / resolved.name();
  return "#!/bin/bash\n" + directives(resolved, options) + "\n" +
         "run_folder=" + quoted(run_folder.string()) + R"(
mkdir -p "$run_folder" || exit 1
spec="$run_folder/slurm-$SLURM_JOB_ID.yaml"
cat >"$spec" <<')" +
         end + "'\n" + yaml + end + R"(

# USR1 (the time is nearly over) and TERM (pre-empted) reach the tasks, which write a checkpoint and end with 75.
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
  )" + quoted(options.launcher) +
         " --device " + options.device + R"( train -f "$spec"
status=$?
if [ "$status" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
)";
}

}  // namespace mdgen::client
