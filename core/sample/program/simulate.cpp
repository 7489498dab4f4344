#include <algorithm>

#include "core/base/error.h"
#include "core/sample/program/array_file.h"
#include "core/sample/program/arrays.h"
#include "core/sample/program/tasks.h"
#include "core/sample/start.h"

namespace mdgen::sample {
namespace {

// One protein on its way through the rollouts.
struct Simulation {
  Outcome outcome;
  at::Tensor types;  // (L)
  at::Tensor start;  // (1, L, 14, 3): the next rollout's first frame
  std::vector<at::Tensor> blocks;
  std::vector<std::int64_t> evaluations;
  std::unique_ptr<Records> records;

  bool runs() const { return outcome.state == Outcome::State::kDone; }
  void fail(const std::exception& error) {
    outcome.state = Outcome::State::kFailed;
    outcome.problem = error.what();
  }
};

Simulation begin(const Session& session, const data::SplitRow& row) {
  const Options& options = session.options();
  Simulation simulation;
  simulation.outcome.name = row.name;
  try {
    simulation.records =
        std::make_unique<Records>(options.out_dir, row.name,
                                  session.common({{"array", array_path(options, row.name).string()},
                                                  {"num_frames", *options.num_frames},
                                                  {"num_rollouts", options.num_rollouts},
                                                  {"reference_compat", options.reference_compat}}),
                                  options.overwrite);
    if (simulation.records->complete(1)) {
      simulation.outcome.state = Outcome::State::kSkipped;
      return simulation;
    }
    const ArrayFile array = open_array(session, row);
    simulation.types = residue_types(row.seqres);
    simulation.start = read_frames(array, 0, 1);
  } catch (const std::exception& error) {
    simulation.fail(error);
  }
  return simulation;
}

void roll_out(Session& session, const std::vector<Simulation*>& running, std::uint32_t rollout) {
  const Options& options = session.options();
  std::vector<data::Batch> starts;
  for (const Simulation* simulation : running)
    starts.push_back(make_start(
        session.spec(), simulation->start, simulation->types, simulation_placement(*options.num_frames),
        {.seed = options.seed, .name = simulation->outcome.name, .sample = 0, .block = rollout}));
  const Solved solved = session.solve(starts);
  const bool whole = rollout == 0 || options.reference_compat;
  for (std::size_t i = 0; i < running.size(); ++i) {
    try {
      solved.check_finite(i, running[i]->outcome.name + ", rollout " + std::to_string(rollout + 1));
    } catch (const Error& error) {
      running[i]->fail(error);
      continue;
    }
    const at::Tensor& block = solved.atom14[i];
    running[i]->start = block.narrow(0, block.size(0) - 1, 1);
    running[i]->blocks.push_back(whole ? block : block.narrow(0, 1, block.size(0) - 1));
    running[i]->evaluations.push_back(solved.evaluations);
  }
}

void finish(const Session& session, Simulation& simulation) {
  const at::Tensor frames = at::cat(simulation.blocks);
  Json own = session.write(simulation.outcome.name, frames, simulation.types);
  own["frames"] = frames.size(0);
  own["start_idx"] = 0;
  own["evaluations"] = simulation.evaluations;
  simulation.records->add(0, own);
  simulation.records->publish();
  simulation.outcome.samples = 1;
  simulation.outcome.frames = frames.size(0);
}

}  // namespace

std::vector<Outcome> simulate(Session& session, const std::vector<data::SplitRow>& group,
                              const Report& report) {
  std::vector<Simulation> simulations;
  for (const data::SplitRow& row : group) simulations.push_back(begin(session, row));
  std::vector<Simulation*> running;
  for (Simulation& simulation : simulations)
    if (simulation.runs()) running.push_back(&simulation);

  const int rollouts = session.options().num_rollouts;
  try {
    for (int rollout = 0; rollout < rollouts && !running.empty(); ++rollout) {
      roll_out(session, running, static_cast<std::uint32_t>(rollout));
      std::erase_if(running, [](const Simulation* simulation) { return !simulation->runs(); });
      report(static_cast<double>(rollout + 1) / rollouts);
    }
  } catch (const std::exception& error) {
    for (Simulation* simulation : running) simulation->fail(error);
    running.clear();
  }
  for (Simulation* simulation : running) {
    try {
      finish(session, *simulation);
    } catch (const std::exception& error) {
      simulation->fail(error);
    }
  }
  std::vector<Outcome> outcomes;
  for (Simulation& simulation : simulations) outcomes.push_back(std::move(simulation.outcome));
  return outcomes;
}

}  // namespace mdgen::sample
