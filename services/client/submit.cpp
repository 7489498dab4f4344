#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "services/client/format.h"
#include "services/client/hints.h"
#include "services/client/spec_source.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

constexpr std::chrono::milliseconds kPauseBeforeRetry{500};

void tell_warnings(const config::Resolved& resolved, const Surroundings& world) {
  for (const std::string& warning : resolved.warnings) world.err << "warning: " << warning << '\n';
}

void print_spec(const config::JobSpec& spec, const Options& options, std::ostream& out) {
  if (options.output == Output::kJson) {
    out << config::message_to_json(spec, config::Unset::kLeaveOut).dump(2) << '\n';
  } else {
    out << config::to_yaml(spec);
  }
}

// An answer that got lost is asked for again: the same request_id means the same job.
v1::Job submit_once(JobApi& api, const config::JobSpec& spec, const Surroundings& world) {
  const std::string request_id = make_uuid();
  try {
    return api.submit(spec, request_id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) throw;
  }
  world.sleep(kPauseBeforeRetry);
  return api.submit(spec, request_id);
}

void print_id(const v1::Job& job, const Options& options, const Surroundings& world) {
  if (options.output == Output::kJson) {
    world.out << config::Json{{"id", job.id()}}.dump() << std::endl;
  } else if (options.output == Output::kYaml) {
    world.out << yaml_text(config::Json{{"id", job.id()}}) << std::flush;
  } else {
    world.out << job.id() << std::endl;
  }
}

// All tasks of a batch job are there from its beginning, so none is done without.
ExitCode submit_to_slurm(config::JobSpec spec, const Options& options, const Surroundings& world) {
  if (options.follow)
    throw UsageError("--follow is not for --launcher slurm; squeue and the job's output tell");
  SlurmOptions slurm = options.slurm;
  slurm.launcher = world.launcher.string();
  spec.mutable_workers()->set_min(spec.workers().max());
  std::string script;
  try {
    script = slurm_script(spec, slurm);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  if (options.print) {
    world.out << script << std::flush;
    return kExitOk;
  }
  const std::string number = world.submit_batch(script);
  const config::Json json{{"slurm_job_id", number}};
  switch (options.output) {
    case Output::kTable:
      world.out << number << std::endl;
      break;
    case Output::kJson:
      world.out << json.dump() << std::endl;
      break;
    case Output::kYaml:
      world.out << yaml_text(json) << std::flush;
      break;
  }
  if (options.quiet || world.terminal().columns == 0) return kExitOk;
  world.err << "next: squeue -j " << number << " | scancel " << number << "; it writes to " << spec.work_dir()
            << '/' << spec.name() << ".slurm-" << number << ".out\n";
  return kExitOk;
}

}  // namespace

ExitCode submit(const Options& options, const Surroundings& world) {
  const config::Resolved resolved = resolved_spec(options, world);
  tell_warnings(resolved, world);
  if (options.dry_run) {
    print_spec(resolved.spec, options, world.out);
    return kExitOk;
  }
  if (options.launcher == "slurm") return submit_to_slurm(resolved.spec, options, world);
  const auto api = open_api(options, world);
  if (options.validate_only) {
    api->check(resolved.spec);
    world.err << "the coordinator would take it; nothing was submitted" << std::endl;
    return kExitOk;
  }
  const v1::Job job = submit_once(*api, resolved.spec, world);
  print_id(job, options, world);
  if (!options.follow) {
    print_hints(next_after_submit(job), options, world);
    return kExitOk;
  }
  if (!options.quiet)
    world.err << "Ctrl-C leaves the job running; mdgenctl cancel " << job.id() << " ends it\n";
  return follow_to_end(*api, job.id(), options, world);
}

ExitCode validate(const Options& options, const Surroundings& world) {
  const config::Resolved resolved = resolved_spec(options, world);
  tell_warnings(resolved, world);
  if (options.output != Output::kTable) {
    print_spec(resolved.spec, options, world.out);
  } else {
    world.out << "ok: " << resolved.spec.name() << ", " << resolved.spec.workers().min() << " to "
              << resolved.spec.workers().max() << " workers, global batch "
              << resolved.spec.global_batch_size() << '\n';
  }
  return kExitOk;
}

ExitCode init(const Options& options, const Surroundings& world) {
  const std::string file = options.file.empty() ? "job.yaml" : options.file;
  const std::string text = config::commented_yaml();
  if (file == "-") {
    world.out << text;
    return kExitOk;
  }
  try {
    write_file_synced(world.current_folder / file, text);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  world.out << file << '\n';
  if (!options.quiet) {
    world.err << "edit it, then: mdgenctl validate -f " << file << "; mdgenctl submit -f " << file
              << " --follow\n";
  }
  return kExitOk;
}

ExitCode describe_spec(const Options& options, const Surroundings& world) {
  world.out << (options.markdown ? config::markdown_table() : config::flags_help());
  return kExitOk;
}

}  // namespace mdgen::client
