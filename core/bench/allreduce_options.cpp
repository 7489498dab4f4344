#include "core/bench/allreduce_options.h"

#include <CLI/CLI.hpp>

#include "core/base/command_line.h"
#include "core/bench/full_size_job.h"
#include "core/config/spec.h"

namespace mdgen::bench {
namespace {

constexpr const char* kFooter =
    "Every other option is a training job's (mdgenctl spec), such as --embed_dim 512: it says how large the\n"
    "gradients are, unless --mbytes does.";

}  // namespace

void add_options(CLI::App& app, AllReduceOptions& options) {
  app.add_option("--ranks", options.ranks, "processes of this machine, over TCP on loopback")
      ->check(CLI::Range(2, 256))
      ->capture_default_str();
  app.add_option("--mbytes", options.mbytes, "MiB of gradients (default: those of the model)")
      ->check(positive_number());
  app.add_option("--bucket_mbytes", options.bucket_mbytes, "MiB of a bucket, several in turns: 1,8,25")
      ->delimiter(',')
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "reductions that are measured, after one that is not")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--threads", options.threads, "threads of each rank's operations (0: cores / ranks)")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object in place of the table");
  app.allow_extras();
  app.footer(kFooter);
}

v1::JobSpec resolved_spec(const AllReduceOptions& options) {
  v1::JobSpec spec = full_size_job(std::filesystem::temp_directory_path());
  config::apply_flags(spec, options.flags);
  return config::resolve(spec, std::filesystem::current_path()).spec;
}

}  // namespace mdgen::bench
