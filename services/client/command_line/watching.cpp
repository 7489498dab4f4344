#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void declare_job(CLI::App& app, Options& options) { add_job(app, options); }

void declare_watch(CLI::App& app, Options& options) {
  add_job(app, options);
  add_patience(app, options, "1");
}

void declare_list(CLI::App& app, Options& options) {
  app.add_option("--state", options.states, "only jobs in this state: RUNNING,QUEUED; may be repeated")
      ->delimiter(',')
      ->type_name("STATE")
      ->check(CLI::IsMember({"VALIDATING", "QUEUED", "STARTING", "RUNNING", "CHECKPOINTING", "PAUSING",
                             "PAUSED", "RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"},
                            CLI::ignore_case));
  app.add_option("--name", options.name, "only jobs whose name begins so")->type_name("PREFIX");
  app.add_option("--owner", options.owner, "only this person's jobs")->type_name("NAME");
  app.add_option("--label", options.labels,
                 "only jobs with this label; may be repeated, then all must be there")
      ->delimiter(',')
      ->type_name("NAME[=VALUE]");
  CLI::Option* limit = app.add_option("--limit", options.limit, "at most this many (default: 100)")
                           ->check(at_least(1))
                           ->type_name("N");
  app.add_flag("--all", options.all, "as many as there are")->excludes(limit);
  app.add_flag("-w,--watch", options.watch, "go on: drawn again on a terminal, elsewhere what has changed");
  add_patience(app, options, "2");
}

void declare_events(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_flag("-f,--follow", options.follow, "go on until the job has ended");
  app.add_option("--since", options.since, "only from then on: 10m, 2h, or 2026-11-23T09:15:02Z")
      ->type_name("TIME");
  app.add_option("--after", options.after_sequence, "only those with a higher number")
      ->check(at_least(0))
      ->type_name("N");
  add_patience(app, options, "1");
}

void declare_logs(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_flag("-f,--follow", options.follow, "go on until the job has ended");
  app.add_option("--rank", options.rank, "whose (default: 0)")->check(at_least(0))->type_name("N");
  app.add_option("--attempt", options.attempt, "of one start of that rank only (default: all)")
      ->type_name("N");
  app.add_option("--since", options.since, "only from then on: 10m, 2h, or 2026-11-23T09:15:02Z")
      ->type_name("TIME");
  app.add_option("--tail", options.tail, "only the last lines")->check(at_least(0))->type_name("LINES");
  app.add_option("--offset", options.offset, "from this byte on, as a broken stream has named it")
      ->check(at_least(0))
      ->type_name("BYTES");
  add_patience(app, options, "1");
}

void declare_metrics(CLI::App& app, Options& options) {
  add_job(app, options);
  app.add_option("--name", options.series, "only these series: loss,val_loss")
      ->delimiter(',')
      ->type_name("NAME");
  app.add_option("--after-step", options.after_step, "only later steps")->check(at_least(0))->type_name("N");
  app.add_flag("-f,--follow", options.follow,
               "go on until the job has ended: drawn again on a terminal, "
               "elsewhere each new step");
  add_patience(app, options, "2");
}

}  // namespace

Chapter watching_chapter() {
  return {
      "Look at jobs",
      {{.name = "list",
        .help = "list jobs, the newest first",
        .run = &list,
        .declare = &declare_list,
        .examples = "list\n"
                    "list --state RUNNING,QUEUED --label team=md\n"
                    "list --name atlas --all -o json\n"
                    "list --watch"},
       {.name = "status",
        .help = "show one job: state, why it waits, progress, speed",
        .run = &status,
        .declare = &declare_job,
        .examples = "status atlas-1\nstatus atlas-1 -o json"},
       {.name = "describe",
        .help = "show all there is to know of one job: ranks, timeouts, checkpoints, recoveries",
        .run = &describe,
        .declare = &declare_job,
        .examples = "describe atlas-1"},
       {.name = "watch",
        .help = "follow a job until it has ended, and exit by its outcome",
        .run = &watch,
        .declare = &declare_watch,
        .examples = "watch atlas-1\nwatch atlas-1 -o json   # the ended job as JSON"},
       {.name = "events",
        .help = "list what has happened to a job, the oldest first",
        .run = &events,
        .declare = &declare_events,
        .examples = "events atlas-1 --since 2h\nevents atlas-1 -f\nevents atlas-1 --after 12 -o json"},
       {.name = "logs",
        .help = "print a rank's log",
        .run = &logs,
        .declare = &declare_logs,
        .examples = "logs atlas-1 -f\n"
                    "logs atlas-1 --rank 3 --tail 50\n"
                    "logs atlas-1 --since 10m"},
       {.name = "metrics",
        .help = "show a run's series: loss, learning rate, seconds a step, …",
        .run = &metrics,
        .declare = &declare_metrics,
        .notes = "A series of many points is thinned to about 1000; its smallest and largest values stay.",
        .examples = "metrics atlas-1\n"
                    "metrics atlas-1 --name loss,val_loss --follow\n"
                    "metrics atlas-1 -o json"}}};
}

}  // namespace mdgen::client
