#include <CLI/CLI.hpp>

#include "services/client/command_line/verb_table.h"

namespace mdgen::client {
namespace {

void declare_drain(CLI::App& app, Options& options) {
  app.add_option("WORKER", options.worker, "its id, as workers lists it")->required()->type_name(kWorkerType);
}

void declare_top(CLI::App& app, Options& options) {
  app.add_flag("--once", options.once, "show it once and end, as without a terminal");
  app.add_option("--limit", options.limit, "at most this many jobs (default: 100)")
      ->check(at_least(1))
      ->type_name("N");
  add_patience(app, options, "2");
}

}  // namespace

Chapter pool_chapter() {
  return {"Workers and the queue",
          {{.name = "workers",
            .help = "list the workers: host, device, what each does, when it last gave a sign of life",
            .run = &workers,
            .examples = "workers\nworkers -o json"},
           {.name = "queue",
            .help = "list the jobs that wait, in their order, and why",
            .run = &queue,
            .examples = "queue"},
           {.name = "top",
            .help = "show jobs under way and workers, drawn again and again",
            .run = &top,
            .declare = &declare_top,
            .examples = "top\ntop --once -o json"},
           {.name = "drain",
            .help = "let a worker finish its step, checkpoint with its job, and leave",
            .run = &drain,
            .declare = &declare_drain,
            .examples = "drain node-a-4711"}}};
}

}  // namespace mdgen::client
