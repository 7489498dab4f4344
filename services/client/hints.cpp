#include "services/client/hints.h"

#include "services/client/exit_code.h"
#include "services/client/format.h"

namespace mdgen::client {

std::vector<std::string> next_after_submit(const v1::Job& job) {
  return {"watch " + job.id(), "logs " + job.id() + " -f", "cancel " + job.id()};
}

std::vector<std::string> next_after_status(const v1::Job& job) {
  const std::string& id = job.id();
  switch (job.state()) {
    case v1::JOB_STATE_QUEUED:
      return {"queue", "workers", "watch " + id};
    case v1::JOB_STATE_PAUSED:
      return {"resume " + id, "checkpoints ls " + id, "cancel " + id};
    case v1::JOB_STATE_FAILED:
      return {"events " + id, "logs " + id + " --tail 50", "retry " + id};
    case v1::JOB_STATE_CANCELLED:
      return {"retry " + id, "checkpoints ls " + id, "delete " + id};
    case v1::JOB_STATE_SUCCEEDED:
      return {"metrics " + id, "checkpoints ls " + id, "ledger verify " + id};
    default:
      return {"watch " + id, "metrics " + id, "logs " + id + " -f"};
  }
}

std::vector<std::string> next_after_change(const v1::Job& job) {
  const std::string& id = job.id();
  if (job.state() == v1::JOB_STATE_PAUSING || job.state() == v1::JOB_STATE_PAUSED)
    return {"resume " + id, "status " + id};
  if (is_final(job.state())) return {"status " + id, "retry " + id};
  return {"watch " + id, "status " + id};
}

void print_hints(const std::vector<std::string>& verbs, const Options& options, const Surroundings& world) {
  if (options.quiet || verbs.empty() || options.output != Output::kTable || world.terminal().columns == 0)
    return;
  const std::string ctl =
      options.address_flag.empty() ? "mdgenctl" : "mdgenctl --address " + options.address_flag;
  std::string line;
  for (const std::string& verb : verbs) line += (line.empty() ? "next: " : " | ") + ctl + " " + verb;
  world.err << one_line(line) << std::endl;
}

}  // namespace mdgen::client
