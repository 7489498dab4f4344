#include "services/client/command_line.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

using Verb = ExitCode (*)(const Options&, const Surroundings&);

ExitCode print_version(const Options&, const Surroundings& world) {
  world.out << "mdgenctl " << MDGEN_VERSION << '\n';
  return kExitOk;
}

// CLI11's view of the command line.
class CommandLine {
 public:
  CommandLine() : app_("Talks to the MDGen coordinator: submits jobs and tells how they are.", "mdgenctl") {
    app_.set_version_flag("--version", std::string("mdgenctl ") + MDGEN_VERSION);
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    app_.add_option("--address", options.address, "the coordinator, HOST:PORT (default: MDGEN_ADDRESS)");
    app_.add_option("--ca", options.access.ca_file, "its certificate, PEM (default: MDGEN_CA)");
    app_.add_option("--token_file", options.access.token_file,
                    "holds the token for it (default: the one in MDGEN_TOKEN)");
    app_.add_option_function<std::string>(
        "-o,--output", [this](const std::string& name) { options.output = output_named(name); },
        "table, json or yaml (default: table)");
    add_spec_verbs();
    add_balance_verb();
    add_job_verbs();
    add_checkpoint_verbs();
    add_ledger_verbs();
    add_data_verbs();
    add_other_verbs();
    app_.footer(
        "Exit codes: 0 done or SUCCEEDED, 1 refused by the server or FAILED, 2 usage or refused spec,\n"
        "3 CANCELLED, 4 connection lost, 75 come again.");
  }

  CLI::App& app() { return app_; }
  Options options;
  Verb verb = nullptr;

 private:
  CLI::App* add(const std::string& name, const std::string& help, Verb run) {
    CLI::App* app = app_.add_subcommand(name, help);
    app->callback([this, run] { verb = run; });
    return app;
  }

  void add_patience(CLI::App* app) {
    app->add_option_function<double>(
           "--reconnect-for", [this](double s) { options.patience.reconnect_for = milliseconds_of(s); },
           "seconds without the coordinator after which the connection counts as lost (default: 60)")
        ->check(at_least(0));
    app->add_option_function<double>(
           "--interval", [this](double s) { options.patience.interval = milliseconds_of(s); },
           "seconds between two looks at the job (default: 1)")
        ->check(at_least(0.05));
  }

  void add_spec_options(CLI::App* app) {
    app->add_option("-f,--file", options.file, "the job spec, YAML or JSON; - is standard input");
    app->add_option("--set", options.assignments, "set one field: optim.lr=1e-3")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    app->footer("After -- come the reference's training flags and ours (all: mdgenctl spec).");
  }

  void add_slurm_options(CLI::App* app) {
    CLI::Option* launcher = app->add_option("--launcher", options.launcher,
                                            "slurm: a batch job of its own, with no coordinator before it")
                                ->check(CLI::IsMember({"slurm"}));
    app->add_flag("--print", options.print, "show the batch script; submit nothing")->needs(launcher);
    app->add_option("--device", options.slurm.device, "of the batch job's workers: cpu or cuda (a GPU each)")
        ->needs(launcher)
        ->capture_default_str();
    app->add_option("--slurm", options.slurm.directives, "one more option of sbatch: partition=gpu")
        ->needs(launcher)
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
  }

  void add_spec_verbs() {
    CLI::App* submit_app = add("submit", "submit a job", &submit);
    add_spec_options(submit_app);
    submit_app->add_flag("--dry-run", options.dry_run, "print the complete spec; submit nothing");
    submit_app->add_flag("--follow", options.follow, "stay until the job has ended");
    add_slurm_options(submit_app);
    add_patience(submit_app);
    add_spec_options(add("validate", "check a job spec without the coordinator", &validate));
    CLI::App* init_app = add("init", "write a commented job spec", &init);
    init_app->add_option("file", options.file, "where to; - is standard output (default: job.yaml)");
    CLI::App* spec_app = add("spec", "list every field of a job spec", &describe_spec);
    spec_app->add_flag("--markdown", options.markdown, "as docs/spec.md");
  }

  void add_balance_verb() {
    CLI::App* app = add("balance", "show how evenly a data set's lengths spread over ranks", &balance);
    add_spec_options(app);
    app->add_option("--split", options.split, "in place of a spec: this CSV, atlas, num_frames 250");
    app->add_option("--ranks", options.ranks, "8,64 (default: workers.max)")
        ->delimiter(',')
        ->check(at_least(1));
    app->add_option("--batch_size", options.batch_sizes, "compare these (default: 1,2,4)")
        ->delimiter(',')
        ->check(at_least(1));
    app->add_option("--samples", options.samples_per_rank, "samples of a step for each rank")
        ->check(at_least(1));
    app->add_option("--epochs", options.epochs, "look at this many (default: 4)")->check(at_least(1));
    app->footer(
        "max/mean: the most loaded rank's work over the mean rank's; residues/real: computed over real "
        "ones;\ntime/crop: the most loaded ranks' work, over that of padding to crop.\n"
        "mdgenctl balance --split atlas_train.csv --ranks 8,64");
  }

  CLI::App* add_job_verb(const std::string& name, const std::string& help, Verb run) {
    CLI::App* app = add(name, help, run);
    app->add_option("job", options.job, "the job's id, or its name if only one has it")->required();
    return app;
  }

  void add_job_verbs() {
    add_job_verb("status", "show one job", &status);
    add_job_verb("describe", "show all there is to know of one job: timeouts, checkpoints, recoveries",
                 &describe);
    add_patience(add_job_verb("watch", "follow a job until it has ended", &watch));
    CLI::App* logs_app = add_job_verb("logs", "print a rank's log", &logs);
    logs_app->add_flag("-f,--follow", options.follow, "go on until the job has ended");
    logs_app->add_option("--rank", options.rank, "whose (default: 0)")->check(at_least(0));
    logs_app->add_option("--attempt", options.attempt, "of one start of that rank only (default: all)");
    add_patience(logs_app);
    add_grace(add_job_verb("cancel", "end a job; it writes a checkpoint first", &cancel));
    add_grace(add_job_verb("pause", "checkpoint a job and free its workers; it keeps its place", &pause));
    CLI::App* resume_app = add_job_verb("resume", "queue a paused job again", &resume);
    resume_app->add_option("--workers", options.workers, "N or MIN:MAX (default: as before)");
    add_inject_verb();
  }

  void add_grace(CLI::App* app) {
    app->add_option("--grace", options.grace_seconds,
                    "seconds for the checkpoint; 0: end at once, without one (default: 60)")
        ->check(at_least(0));
  }

  void add_inject_verb() {
    CLI::App* app = add_job_verb("inject", "break a rank on purpose", &inject);
    app->add_option("fault", options.fault, "kill, hang, slow, corrupt-checkpoint or partition")
        ->required()
        ->check(CLI::IsMember({"kill", "hang", "slow", "corrupt-checkpoint", "partition"}));
    app->add_option("--rank", options.rank, "whose (default: 0)")->check(at_least(0));
    app->add_option("--seconds", options.seconds,
                    "hang: until it goes on (default: never); slow: more for each step; partition: how long")
        ->check(at_least(0));
    app->add_option("--steps", options.steps, "slow: for so many steps (default: for good)")
        ->check(at_least(0));
    app->footer(
        "Refused unless the coordinator was started with --allow_inject.\n"
        "mdgenctl inject j1 --rank 2 kill             SIGKILL to the trainer\n"
        "mdgenctl inject j1 hang --seconds 30         SIGSTOP, SIGCONT later\n"
        "mdgenctl inject j1 slow --seconds 0.5 --steps 20\n"
        "mdgenctl inject j1 partition --seconds 8     agent and trainer lose all connections\n"
        "mdgenctl inject j1 corrupt-checkpoint        a byte of the newest one is flipped");
  }

  void add_checkpoint_verbs() {
    CLI::App* group =
        app_.add_subcommand("checkpoints", "list, check, export or import what a run has written");
    group->require_subcommand(1);
    const auto add_verb = [&](const std::string& name, const std::string& help, Verb run) {
      CLI::App* app = group->add_subcommand(name, help);
      app->callback([this, run] { verb = run; });
      return app;
    };
    const auto add_job_verb = [&](const std::string& name, const std::string& help, Verb run) {
      CLI::App* app = add_verb(name, help, run);
      app->add_option("job", options.job, "a job, its run folder, or a checkpoint's folder")->required();
      return app;
    };
    add_job_verb("ls", "name them, the newest first: step, age, size, validation loss, state",
                 &list_checkpoints)
        ->alias("list");
    add_job_verb("verify", "compare every file with its recorded digest", &verify_checkpoints);
    CLI::App* diff =
        add_job_verb("diff", "tell which tensors and spec fields of two differ", &diff_checkpoints);
    diff->add_option("other", options.file, "the other: likewise")->required();
    CLI::App* rm = add_job_verb("rm", "remove some, but never the last good one", &remove_checkpoints);
    rm->add_option("names", options.names, "steps or folder names");
    rm->add_flag("--force", options.force, "the last good one too");
    CLI::App* to_file = add_job_verb(
        "export", "write the newest good one as a Lightning file of the reference", &export_checkpoint);
    to_file->add_option("--out", options.out, "the file to write: NAME.ckpt")->required();
    to_file
        ->add_option("--weights", options.weights,
                     "raw: all, to train on; ema: the moving average, to sample from")
        ->check(CLI::IsMember({"raw", "ema"}))
        ->capture_default_str();
    to_file->footer(
        "mdgenctl checkpoints export j1 --out last.ckpt               the reference's train.py --ckpt goes "
        "on from it\n"
        "mdgenctl checkpoints export runs/a --out a.ckpt --weights ema   its *_inference.py --sim_ckpt "
        "samples with it");
    CLI::App* from_file =
        add_verb("import", "make a checkpoint and a spec of a Lightning file", &import_checkpoint);
    from_file->add_option("file", options.file, "the reference's checkpoint: NAME.ckpt")->required();
    from_file->add_option("--out", options.out, "the folder to make")->required();
    from_file->footer(
        "mdgenctl checkpoints import forward_sim.ckpt --out forward_sim\n"
        "mdgenctl submit -f forward_sim/spec.yaml --set data_dir=data --set name=more   goes on from it");
  }

  void add_ledger_verbs() {
    CLI::App* group = app_.add_subcommand("ledger", "which samples a run has used");
    group->require_subcommand(1);
    const auto add_verb = [&](const std::string& name, const std::string& help, Verb run) {
      CLI::App* app = group->add_subcommand(name, help);
      app->callback([this, run] { verb = run; });
      app->add_option("job", options.job, "a job, its run folder, or a checkpoint's folder")->required();
      return app;
    };
    add_verb("verify", "prove that each sample of the plan was used exactly once", &verify_ledger);
    CLI::App* show = add_verb("show", "print the records, the oldest first", &show_ledger);
    show->add_option("--since", options.since_step, "only what reaches this step or a later one")
        ->check(at_least(0));
    show->add_option("--limit", options.newest, "only so many, the newest (default: all)")
        ->check(at_least(1));
  }

  void add_data_verbs() {
    CLI::App* group = app_.add_subcommand("data", "check the data set of a job");
    group->require_subcommand(1);
    CLI::App* app =
        group->add_subcommand("verify", "compare every array's content with its recorded SHA-256");
    app->callback([this] { verb = &verify_data; });
    app->add_option("job", options.job, "a job or its run folder")->required();
    app->add_option("--threads", options.threads, "arrays read at a time")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app->footer(
        "Run it where data_dir and the run folder are mounted. The first time it writes the digests to\n"
        "<run folder>/data.sha256, as sha256sum does; from then on it compares with them. What mdgen-prep\n"
        "recorded of its arrays is compared each time.");
  }

  void add_other_verbs() {
    CLI::App* list_app = add("list", "list jobs, the newest first", &list);
    list_app->add_option("--limit", options.limit, "at most this many (default: 100)")->check(at_least(1));
    add("version", "print the version", &print_version);
  }

  static Output output_named(const std::string& name) {
    static const std::map<std::string, Output> outputs = {
        {"table", Output::kTable}, {"json", Output::kJson}, {"yaml", Output::kYaml}};
    const auto found = outputs.find(name);
    if (found == outputs.end()) {
      throw CLI::ValidationError("-o", "\"" + name + "\" is none of table, json, yaml");
    }
    return found->second;
  }

  // CLI11's own range texts print the largest double in full.
  static CLI::Validator at_least(double low) {
    return CLI::Validator(
        [low](const std::string& text) {
          double number = 0;
          if (CLI::detail::lexical_cast(text, number) && number >= low && number <= 1e9) return std::string();
          return "\"" + text + "\" is not a number of at least " + fmt::format("{}", low);
        },
        "");
  }

  static std::chrono::milliseconds milliseconds_of(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  }

  CLI::App app_;
};

// What stands after the first "--"; CLI11 would take it for positional arguments.
std::vector<std::string> take_flags(std::vector<std::string>& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes == arguments.end()) return {};
  std::vector<std::string> flags(dashes + 1, arguments.end());
  arguments.erase(dashes, arguments.end());
  return flags;
}

ExitCode refuse_usage(const Surroundings& world, const std::string& text) {
  world.err << "mdgenctl: " << one_line(text) << "; mdgenctl --help lists verbs and options" << std::endl;
  return kExitUsage;
}

ExitCode run_verb(CommandLine& line, const Surroundings& world) {
  const bool following = line.verb == &watch || (line.verb == &submit && line.options.follow);
  try {
    return line.verb(line.options, world);
  } catch (const UsageError& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return kExitUsage;
  } catch (const Error& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return exit_of_refusal(error.code(), following);
  } catch (const std::exception& error) {
    world.err << "mdgenctl: " << one_line(error.what()) << std::endl;
    return kExitFailed;
  }
}

}  // namespace

ExitCode run_client(std::vector<std::string> arguments, const Surroundings& world) {
  CommandLine line;
  line.options.flags = take_flags(arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    line.app().parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return line.app().exit(error, world.out, world.err), kExitOk;
    return refuse_usage(world, error.what());
  }
  if (line.verb == nullptr) return refuse_usage(world, "a verb is missing");
  const bool takes_flags = line.verb == &submit || line.verb == &validate || line.verb == &balance;
  if (!line.options.flags.empty() && !takes_flags) {
    return refuse_usage(world, "only submit, validate and balance take flags after --");
  }
  if (line.verb == &init && line.options.file.empty()) line.options.file = "job.yaml";
  return run_verb(line, world);
}

}  // namespace mdgen::client
