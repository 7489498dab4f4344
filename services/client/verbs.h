// mdgenctl's verbs: each takes its options, does its work and returns the exit code. Errors are thrown.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "services/client/config_file.h"
#include "services/client/exit_code.h"
#include "services/client/look.h"
#include "services/client/reconnect.h"
#include "services/client/slurm_script.h"
#include "services/client/surroundings.h"
#include "services/client/usage_error.h"

namespace mdgen::client {

struct Options {
  std::string address;       // of the flag, the environment or the configuration
  std::string address_flag;  // of the flag alone
  access::Sources access;
  Output output = Output::kTable;
  std::optional<Output> output_flag;
  std::string color = "auto";                         // auto, always or never
  bool quiet = false;                                 // no word of what could be next
  std::optional<std::chrono::milliseconds> interval;  // between two looks; nothing: the verb's own
  std::chrono::milliseconds reconnect_for{60000};

  std::string job;                       // of status, logs, cancel, watch
  std::string file;                      // submit, validate: "-" is standard input; init: what it writes
  std::vector<std::string> assignments;  // --set
  std::vector<std::string> flags;        // after "--"
  bool dry_run = false;
  bool validate_only = false;  // of submit: the coordinator checks it, and makes no job
  std::string launcher;        // of submit: "slurm"; empty: the coordinator
  bool print = false;          // of submit: show the batch script only
  SlurmOptions slurm;
  bool follow = false;
  int rank = 0;
  std::optional<int> attempt;
  std::optional<int> grace_seconds;
  std::string workers;  // resume: "N" or "MIN:MAX"; empty: as before
  std::string fault;    // inject: kill, hang, …
  std::optional<double> seconds;
  std::int64_t steps = 0;
  int limit = 100;                  // list, top
  bool all = false;                 // list: every page
  std::vector<std::string> states;  // list, as the next three: only those
  std::string name;
  std::string owner;
  std::vector<std::string> labels;  // "team=md", "stage"
  bool watch = false;               // list: go on
  bool once = false;                // top: one look
  std::string since;                // events, logs: "10m" or RFC 3339
  std::int64_t after_sequence = 0;  // events
  std::optional<int> tail;          // logs: only the last lines
  std::int64_t offset = 0;          // logs: of bytes
  std::optional<int> priority;      // update, as the next two
  std::string deadline;             // "8h" after the submission; "none"
  std::optional<std::string> new_labels;
  bool yes = false;                 // delete: without a question
  std::vector<std::string> series;  // metrics: only these
  std::int64_t after_step = 0;      // metrics
  std::string worker;               // drain
  std::string shell;                // completion
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
ExitCode events(const Options& options, const Surroundings& world);
ExitCode metrics(const Options& options, const Surroundings& world);
ExitCode workers(const Options& options, const Surroundings& world);
ExitCode queue(const Options& options, const Surroundings& world);
ExitCode top(const Options& options, const Surroundings& world);
ExitCode drain(const Options& options, const Surroundings& world);
ExitCode update(const Options& options, const Surroundings& world);
ExitCode retry(const Options& options, const Surroundings& world);
// Asks first where a person can answer; elsewhere it needs options.yes.
ExitCode remove(const Options& options, const Surroundings& world);
// The script that a shell loads.
ExitCode print_completion(const Options& options, const Surroundings& world);
ExitCode help(const Options& options, const Surroundings& world);
ExitCode print_version(const Options& options, const Surroundings& world);
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

// A connection to options.address. Throws UsageError without one, and for a certificate or token that cannot
// be used.
std::shared_ptr<JobApi> open_api(const Options& options, const Surroundings& world);

// As `table`, or the job as JSON or YAML.
void print_job(const v1::Job& job, const Options& options, std::ostream& out, const std::string& table);

// Any answer as JSON or YAML; options.output is one of these.
void print_json(const config::Json& json, const Options& options, std::ostream& out);

// What `world.out` can show, as it is now.
Look look_of(const Options& options, const Surroundings& world);

Patience patience_of(const Options& options, std::chrono::milliseconds interval);

// Follows a job, telling of it on `world.out` (as JSON: on `world.err`, and the ended job on `world.out`).
ExitCode follow_to_end(JobApi& api, const std::string& id, const Options& options, const Surroundings& world);

}  // namespace mdgen::client
