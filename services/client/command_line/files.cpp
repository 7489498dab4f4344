#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void declare_job(CLI::App& app, Options& options) { add_job_or_folder(app, options); }

void declare_diff(CLI::App& app, Options& options) {
  add_job_or_folder(app, options);
  app.add_option("OTHER", options.file, "the other: likewise, or a Lightning file")
      ->required()
      ->type_name(kJobOrFolderType);
}

void declare_rm(CLI::App& app, Options& options) {
  add_job_or_folder(app, options);
  app.add_option("NAMES", options.names, "steps or folder names")->type_name("STEP");
  app.add_flag("--force", options.force, "the last good one too");
}

void declare_export(CLI::App& app, Options& options) {
  add_job_or_folder(app, options);
  app.add_option("--out", options.out, "the file to write: NAME.ckpt")->required()->type_name(kFileType);
  app.add_option("--weights", options.weights,
                 "raw: all, to train on; ema: the moving average, to sample from")
      ->type_name("WHICH")
      ->check(CLI::IsMember({"raw", "ema"}))
      ->capture_default_str();
}

void declare_import(CLI::App& app, Options& options) {
  app.add_option("FILE", options.file, "the reference's checkpoint: NAME.ckpt")
      ->required()
      ->type_name(kFileType);
  app.add_option("--out", options.out, "the folder to make")->required()->type_name(kFolderType);
}

void declare_ledger_show(CLI::App& app, Options& options) {
  add_job_or_folder(app, options);
  app.add_option("--since", options.since_step, "only what reaches this step or a later one")
      ->check(at_least(0))
      ->type_name("STEP");
  app.add_option("--limit", options.newest, "only so many, the newest (default: all)")
      ->check(at_least(1))
      ->type_name("N");
}

void declare_data_verify(CLI::App& app, Options& options) {
  add_job_or_folder(app, options)->description("a job or its run folder");
  app.add_option("--threads", options.threads, "arrays read at a time")
      ->check(CLI::Range(1, 256).description(""))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace

Chapter files_chapter() {
  return {
      "What a run has written",
      {{.name = "checkpoints ls",
        .alias = "list",
        .help = "name them, the newest first: step, age, size, validation loss, state",
        .run = &list_checkpoints,
        .declare = &declare_job,
        .notes = "`complete`: names and sizes are right, no file is read. A run folder that is not on this\n"
                 "machine is looked at by the coordinator.",
        .examples = "checkpoints ls atlas-1\ncheckpoints ls runs/atlas-1"},
       {.name = "checkpoints verify",
        .help = "compare every file with its recorded digest",
        .run = &verify_checkpoints,
        .declare = &declare_job,
        .notes = "The last line is `checkpoints: G good, B bad`; exit 1 when one is bad or there is none.",
        .examples = "checkpoints verify atlas-1"},
       {.name = "checkpoints diff",
        .help = "tell which tensors and spec fields of two differ",
        .run = &diff_checkpoints,
        .declare = &declare_diff,
        .notes =
            "The last line is `diff: D of T tensors differ, S fields of the spec`; exit 1 when something\n"
            "differs. Of a job or run folder the newest good checkpoint counts.",
        .examples = "checkpoints diff atlas-1 runs/atlas-2"},
       {.name = "checkpoints rm",
        .help = "remove some, but never the last good one",
        .run = &remove_checkpoints,
        .declare = &declare_rm,
        .notes = "One that somebody reads stays; exit 1 when one stays.",
        .examples = "checkpoints rm atlas-1 1200 1400"},
       {.name = "checkpoints export",
        .help = "write the newest good one as a Lightning file of the reference",
        .run = &export_checkpoint,
        .declare = &declare_export,
        .examples =
            "checkpoints export atlas-1 --out last.ckpt   # the reference's train.py --ckpt goes on from it\n"
            "checkpoints export runs/a --out a.ckpt --weights ema   # its *_inference.py --sim_ckpt "
            "samples with it"},
       {.name = "checkpoints import",
        .help = "make a checkpoint and a spec of a Lightning file",
        .run = &import_checkpoint,
        .declare = &declare_import,
        .notes = "Exit 1 and nothing written when it does not fit its own flags.",
        .examples =
            "checkpoints import forward_sim.ckpt --out forward_sim\n"
            "submit -f forward_sim/spec.yaml --set data_dir=data --set name=more   # goes on from it"},
       {.name = "ledger verify",
        .help = "prove that each sample of the plan was used exactly once",
        .run = &verify_ledger,
        .declare = &declare_job,
        .notes =
            "Problems, one a line; the last line is `ledger: steps=N samples=N repeats=0 gaps=0 rollbacks=N "
            "OK`,\nor BROKEN and exit 1.",
        .examples = "ledger verify atlas-1\nledger verify runs/atlas-1   # without a coordinator"},
       {.name = "ledger show",
        .help = "print the records, the oldest first",
        .run = &show_ledger,
        .declare = &declare_ledger_show,
        .examples = "ledger show atlas-1 --since 1000"},
       {.name = "data verify",
        .help = "compare every array's content with its recorded SHA-256",
        .run = &verify_data,
        .declare = &declare_data_verify,
        .notes =
            "Run it where data_dir and the run folder are mounted. The first time it writes the digests to\n"
            "RUN_FOLDER/data.sha256, as sha256sum does; from then on it compares with them. What mdgen-prep\n"
            "recorded of its arrays is compared each time.",
        .examples = "data verify atlas-1"}}};
}

}  // namespace mdgen::client
