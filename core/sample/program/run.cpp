#include "core/sample/program/run.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iomanip>

#include "core/base/error.h"
#include "core/sample/program/progress.h"
#include "core/sample/program/selection.h"
#include "core/sample/program/tasks.h"

namespace mdgen::sample {
namespace {

using Rows = std::vector<data::SplitRow>;

Rows proteins(const Options& options) {
  data::Problems problems;
  const Rows all = data::read_split(options.split, problems);
  problems.throw_if_any();
  Rows rows = select(chunk_of(all, options.chunk_idx, options.n_chunks), all, options.pdb_id);
  if (options.n_chunks > 1)
    spdlog::info("part {} of {}: {} of {} proteins", options.chunk_idx, options.n_chunks, rows.size(),
                 all.size());
  return rows;
}

// Proteins of one length share a batch in a simulation; else it is one at a time.
std::vector<Rows> pieces(const Options& options, const Rows& rows) {
  const bool together = options.verb == Verb::kSim;
  return group_by_length(rows, together ? static_cast<std::size_t>(options.batch_size) : 1);
}

std::vector<Outcome> work(Session& session, const Rows& piece, const Report& report) {
  if (session.options().verb == Verb::kSim) return simulate(session, piece, report);
  try {
    return {session.options().verb == Verb::kUpsample ? upsample(session, piece.front(), report)
                                                      : sample_paths(session, piece.front(), report)};
  } catch (const std::exception& error) {
    Outcome failed{.name = piece.front().name, .state = Outcome::State::kFailed};
    failed.problem = error.what();
    return {failed};
  }
}

void print_line(const Outcome& outcome, std::ostream& out) {
  switch (outcome.state) {
    case Outcome::State::kDone:
      out << outcome.name << "  done  " << outcome.samples << (outcome.samples == 1 ? " sample" : " samples")
          << " of " << outcome.frames << " frames\n";
      break;
    case Outcome::State::kSkipped:
      out << outcome.name << "  skipped: it is there already\n";
      break;
    case Outcome::State::kFailed:
      out << outcome.name << "  FAILED: " << outcome.problem << '\n';
      break;
  }
  out << std::flush;
}

}  // namespace

bool run(Options options, const Clock& clock, std::ostream& out) {
  if (!options.mddir.empty())
    spdlog::warn("--mddir has no effect: the MSM analysis is not part of this program");
  Session session(std::move(options));
  const Rows rows = proteins(session.options());
  std::filesystem::create_directories(session.options().out_dir);

  Progress progress(static_cast<double>(rows.size()), clock);
  std::array<int, 3> count{};
  double done = 0;
  for (const Rows& piece : pieces(session.options(), rows)) {
    const auto part = static_cast<double>(piece.size());
    const Report report = [&](double fraction) {
      if (const auto line = progress.report(done + fraction * part)) spdlog::info("{}", *line);
    };
    for (const Outcome& outcome : work(session, piece, report)) {
      ++count[static_cast<std::size_t>(outcome.state)];
      print_line(outcome, out);
    }
    done += part;
  }
  out << "samples: " << count[0] << " done, " << count[1] << " skipped, " << count[2] << " failed"
      << std::endl;
  return count[2] == 0;
}

}  // namespace mdgen::sample
