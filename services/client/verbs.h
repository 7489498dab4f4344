// mdgenctl's verbs: each takes its options, does its work and returns the exit code. Errors are thrown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/client/exit_code.h"
#include "services/client/follow.h"
#include "services/client/slurm_script.h"
#include "services/client/surroundings.h"

namespace mdgen::client {

enum class Output { kTable, kJson, kYaml };

struct Options {
  std::string address;
  access::Sources access;
  Output output = Output::kTable;
  Patience patience;

  std::string job;                       // of status, logs, cancel, watch
  std::string file;                      // submit, validate: "-" is standard input; init: what it writes
  std::vector<std::string> assignments;  // --set
  std::vector<std::string> flags;        // after "--"
  bool dry_run = false;
  std::string launcher;  // of submit: "slurm"; empty: the coordinator
  bool print = false;    // of submit: show the batch script only
  SlurmOptions slurm;
  bool follow = false;
  int rank = 0;
  std::optional<int> attempt;
  std::optional<int> grace_seconds;
  std::string workers;  // resume: "N" or "MIN:MAX"; empty: as before
  std::string fault;    // inject: kill, hang, …
  std::optional<double> seconds;
  std::int64_t steps = 0;
  int limit = 100;
  bool markdown = false;
  std::string out;                 // checkpoints export: a file; import: a folder
  std::int64_t since_step = 0;     // ledger show
  std::optional<int> newest;       // ledger show: only so many
  int threads = 4;                 // data verify
  std::string weights = "raw";     // checkpoints export: raw or ema
  std::vector<std::string> names;  // checkpoints rm
  bool force = false;              // checkpoints rm

  std::string split;       // of balance, as the following
  std::vector<int> ranks;  // none: the spec's workers.max
  std::vector<int> batch_sizes{1, 2, 4};
  std::optional<int> samples_per_rank;  // of a step; nothing: as in the spec
  int epochs = 4;
};

ExitCode submit(const Options& options, const Surroundings& world);
ExitCode validate(const Options& options, const Surroundings& world);
ExitCode watch(const Options& options, const Surroundings& world);
ExitCode status(const Options& options, const Surroundings& world);
ExitCode list(const Options& options, const Surroundings& world);
ExitCode logs(const Options& options, const Surroundings& world);
ExitCode describe(const Options& options, const Surroundings& world);
ExitCode cancel(const Options& options, const Surroundings& world);
ExitCode pause(const Options& options, const Surroundings& world);
ExitCode resume(const Options& options, const Surroundings& world);
ExitCode inject(const Options& options, const Surroundings& world);
// options.job: a job, a run folder, a folder of checkpoints or one of them.
ExitCode list_checkpoints(const Options& options, const Surroundings& world);
// options.names, or options.job where that is one. Refuses the last good one unless options.force;
// kExitFailed when one stays.
ExitCode remove_checkpoints(const Options& options, const Surroundings& world);
// options.job and options.file, each a job, a folder as above or a Lightning file. kExitFailed when they
// differ.
ExitCode diff_checkpoints(const Options& options, const Surroundings& world);
// Reads every byte. kExitFailed when one is bad, or when there is none.
ExitCode verify_checkpoints(const Options& options, const Surroundings& world);
// The newest good checkpoint of options.job as a Lightning file.
ExitCode export_checkpoint(const Options& options, const Surroundings& world);
// options.file, a Lightning file, as a checkpoint folder and a spec. kExitFailed when it does not fit its own
// flags.
ExitCode import_checkpoint(const Options& options, const Surroundings& world);
// options.job: a job, or a folder with checkpoints, whose newest good one then counts.
ExitCode show_ledger(const Options& options, const Surroundings& world);
// kExitFailed when it is broken.
ExitCode verify_ledger(const Options& options, const Surroundings& world);
// Reads every array of options.job's manifest and compares its SHA-256 with that of the first such run
// (<run folder>/data.sha256, as sha256sum's) and with mdgen-prep's. kExitFailed when one differs.
ExitCode verify_data(const Options& options, const Surroundings& world);
ExitCode init(const Options& options, const Surroundings& world);
// Reads the training split only.
ExitCode balance(const Options& options, const Surroundings& world);
ExitCode describe_spec(const Options& options, const Surroundings& world);

// options.job as a folder: a checkpoint, a folder of them or a run folder; a job's is asked from the
// coordinator.
std::filesystem::path named_folder(const Options& options, const Surroundings& world);

// A connection to options.address, else to world.default_address. Throws UsageError without either, and for a
// certificate or token that cannot be used.
std::unique_ptr<JobApi> open_api(const Options& options, const Surroundings& world);

// As `table`, or the job as JSON or YAML.
void print_job(const v1::Job& job, const Options& options, std::ostream& out, const std::string& table);

// Follows a job that is known to the server, telling of it on `world.out` (as JSON: on `world.err`, and the
// ended job on `world.out`).
ExitCode follow_to_end(JobApi& api, const std::string& id, const Options& options, const Surroundings& world);

// The command line or the spec is wrong; nothing was sent.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mdgen::client
