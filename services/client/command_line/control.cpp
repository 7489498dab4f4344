#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void declare_ending(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_option("--grace", options.grace_seconds,
                 "seconds for the checkpoint; 0: end at once, without one (default: 60)")
      ->check(at_least(0))
      ->type_name("SECONDS");
}

void declare_resume(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_option("--workers", options.workers, "N or MIN:MAX (default: as before)")->type_name("N|MIN:MAX");
}

void declare_update(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_option("--priority", options.priority, "a job of higher priority goes first")->type_name("N");
  app.add_option("--deadline", options.deadline, "end it so long after its submission: 8h, 2d; none: never")
      ->type_name("DURATION");
  app.add_option("--labels", options.new_labels, "in place of those it has: team=md,stage; \"\" for none")
      ->type_name("LABELS");
}

void declare_retry(CLI::App& app, Options& options) { add_job(app, options); }

void declare_delete(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_flag("-y,--yes", options.yes, "do not ask; needed where nobody can be asked");
}

void declare_inject(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_option("FAULT", options.fault, "kill, hang, slow, corrupt-checkpoint or partition")
      ->required()
      ->type_name("FAULT")
      ->check(CLI::IsMember({"kill", "hang", "slow", "corrupt-checkpoint", "partition"}));
  app.add_option("--rank", options.rank, "whose (default: 0)")->check(at_least(0))->type_name("N");
  app.add_option("--seconds", options.seconds,
                 "hang: until it goes on (default: never); slow: more for each step; partition: how long")
      ->check(at_least(0))
      ->type_name("SECONDS");
  app.add_option("--steps", options.steps, "slow: for so many steps (default: for good)")
      ->check(at_least(0))
      ->type_name("N");
}

}  // namespace

Chapter control_chapter() {
  return {
      "Change jobs",
      {{.name = "cancel",
        .help = "end a job; it writes a checkpoint first",
        .run = &cancel,
        .declare = &declare_ending,
        .examples = "cancel atlas-1\ncancel atlas-1 --grace 0"},
       {.name = "pause",
        .help = "checkpoint a job and free its workers; it keeps its run folder",
        .run = &pause,
        .declare = &declare_ending,
        .examples = "pause atlas-1"},
       {.name = "resume",
        .help = "queue a paused job again",
        .run = &resume,
        .declare = &declare_resume,
        .examples = "resume atlas-1\nresume atlas-1 --workers 2:8"},
       {.name = "update",
        .help = "change a job's priority, deadline or labels while it lives",
        .run = &update,
        .declare = &declare_update,
        .examples = "update atlas-1 --priority 10\nupdate atlas-1 --deadline 8h --labels team=md,stage=2"},
       {.name = "retry",
        .help = "run a failed or cancelled job again from its newest checkpoint; prints the new job's id",
        .run = &retry,
        .declare = &declare_retry,
        .examples = "retry atlas-1"},
       {.name = "delete",
        .help = "forget a job that has ended; its run folder stays",
        .run = &remove,
        .declare = &declare_delete,
        .examples = "delete atlas-1\ndelete atlas-1 --yes"},
       {.name = "inject",
        .help = "break a rank on purpose",
        .run = &inject,
        .declare = &declare_inject,
        .notes =
            "Refused unless the coordinator was started with --allow_inject.\n"
            "kill: SIGKILL to the trainer; hang: SIGSTOP, and SIGCONT after --seconds; slow: each step "
            "takes\n"
            "--seconds more, for --steps steps; corrupt-checkpoint: one byte of the newest checkpoint is\n"
            "flipped, the agent logs which; partition: agent and trainer lose all connections for --seconds.",
        .examples = "inject atlas-1 --rank 2 kill\n"
                    "inject atlas-1 hang --seconds 30\n"
                    "inject atlas-1 slow --seconds 0.5 --steps 20\n"
                    "inject atlas-1 partition --seconds 8\n"
                    "inject atlas-1 corrupt-checkpoint"}}};
}

}  // namespace mdgen::client
