#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void add_spec_options(CLI::App& app, Options& options) {
  app.add_option("-f,--file", options.file, "the job spec, YAML or JSON; - is standard input")
      ->type_name(kFileType);
  app.add_option("--set", options.assignments, "set one field: optim.lr=1e-3; may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void add_slurm_options(CLI::App& app, Options& options) {
  CLI::Option* launcher = app.add_option("--launcher", options.launcher,
                                         "slurm: a batch job of its own, with no coordinator before it")
                              ->type_name("NAME")
                              ->check(CLI::IsMember({"slurm"}));
  app.add_flag("--print", options.print, "with --launcher: show the batch script; submit nothing")
      ->needs(launcher);
  app.add_option("--device", options.slurm.device, "of the batch job's workers: cpu or cuda (a GPU each)")
      ->needs(launcher)
      ->type_name("DEVICE")
      ->capture_default_str();
  app.add_option("--slurm", options.slurm.directives, "one more option of sbatch: partition=gpu")
      ->needs(launcher)
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
}

void declare_submit(CLI::App& app, Options& options) {
  add_spec_options(app, options);
  app.add_flag("--dry-run", options.dry_run, "print the complete spec; asks nobody and submits nothing");
  app.add_flag("--validate-only", options.validate_only,
               "ask the coordinator whether it would take the spec; submits nothing");
  app.add_flag("--follow", options.follow, "stay until the job has ended, and exit by its outcome");
  add_slurm_options(app, options);
  add_patience(app, options, "1");
}

void declare_balance(CLI::App& app, Options& options) {
  add_spec_options(app, options);
  app.add_option("--split", options.split, "in place of a spec: this CSV, atlas, num_frames 250")
      ->type_name(kFileType);
  app.add_option("--ranks", options.ranks, "8,64 (default: workers.max)")
      ->delimiter(',')
      ->check(at_least(1))
      ->type_name("N,…");
  app.add_option("--batch_size", options.batch_sizes, "compare these (default: 1,2,4)")
      ->delimiter(',')
      ->check(at_least(1))
      ->type_name("N,…");
  app.add_option("--samples", options.samples_per_rank, "samples of a step for each rank")
      ->check(at_least(1))
      ->type_name("N");
  app.add_option("--epochs", options.epochs, "look at this many (default: 4)")
      ->check(at_least(1))
      ->type_name("N");
}

void declare_init(CLI::App& app, Options& options) {
  app.add_option("FILE", options.file, "where to; - is standard output (default: job.yaml)")
      ->type_name(kFileType);
}

void declare_spec(CLI::App& app, Options& options) {
  app.add_flag("--markdown", options.markdown, "as docs/spec.md");
}

constexpr const char* kAfterDashes =
    "After -- come the reference's training flags and ours (all: mdgenctl spec).";

}  // namespace

Chapter spec_chapter() {
  return {
      "Write and submit",
      {{.name = "submit",
        .help = "submit a job; prints its id alone on the first line",
        .run = &submit,
        .declare = &declare_submit,
        .notes = kAfterDashes,
        .examples = "submit -f job.yaml --follow\n"
                    "submit -f job.yaml --set optim.lr=3e-4 --set name=lr3\n"
                    "submit -- --train_split splits/atlas_train.csv --val_split splits/atlas_val.csv "
                    "--data_dir data --sim_condition --prepend_ipa\n"
                    "submit -f job.yaml --dry-run > complete.yaml\n"
                    "submit -f job.yaml --launcher slurm --device cuda --slurm partition=gpu",
        .takes_flags = true},
       {.name = "validate",
        .help = "check a job spec without the coordinator",
        .run = &validate,
        .declare = &add_spec_options,
        .notes = kAfterDashes,
        .examples = "validate -f job.yaml",
        .takes_flags = true},
       {.name = "init",
        .help = "write a commented job spec; never overwrites",
        .run = &init,
        .declare = &declare_init,
        .examples = "init job.yaml"},
       {.name = "spec",
        .help = "list every field of a job spec",
        .run = &describe_spec,
        .declare = &declare_spec,
        .examples = "spec"},
       {.name = "balance",
        .help = "show how evenly a data set's lengths spread over ranks",
        .run = &balance,
        .declare = &declare_balance,
        .notes = "max/mean: the most loaded rank's work over the mean rank's; residues/real: computed over "
                 "real ones;\ntime/crop: the most loaded ranks' work, over that of padding to crop.",
        .examples = "balance --split atlas_train.csv --ranks 8,64",
        .takes_flags = true}}};
}

}  // namespace mdgen::client
