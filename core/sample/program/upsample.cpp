#include <algorithm>

#include "core/sample/program/arrays.h"
#include "core/sample/program/tasks.h"
#include "core/sample/start.h"

namespace mdgen::sample {
namespace {

// A stretch of key frames.
struct Stretch {
  std::int64_t first = 0;
  std::int64_t keys = 0;
};

std::vector<Stretch> stretches(std::int64_t keys, std::int64_t keys_of_block) {
  std::vector<Stretch> blocks;
  for (std::int64_t first = 0; first < keys; first += keys_of_block)
    blocks.push_back({first, std::min(keys_of_block, keys - first)});
  return blocks;
}

}  // namespace

Outcome upsample(Session& session, const data::SplitRow& row, const Report& report) {
  const Options& options = session.options();
  const std::int64_t interval = session.spec().model().cond_interval();
  Records records(options.out_dir, row.name,
                  session.common({{"array", array_path(options, row.name).string()},
                                  {"num_frames", *options.num_frames},
                                  {"cond_interval", interval}}),
                  options.overwrite);
  Outcome outcome{.name = row.name};
  if (records.complete(1)) {
    outcome.state = Outcome::State::kSkipped;
    return outcome;
  }
  const ArrayFile array = open_array(session, row);
  const at::Tensor types = residue_types(row.seqres);
  const std::vector<Stretch> blocks = stretches(array.frames(), *options.num_frames / interval);
  std::vector<at::Tensor> frames;
  std::vector<std::int64_t> evaluations;
  for (std::size_t next = 0; next < blocks.size();) {
    std::vector<data::Batch> starts;
    const std::int64_t keys = blocks[next].keys;
    for (; next < blocks.size() && blocks[next].keys == keys &&
           starts.size() < static_cast<std::size_t>(options.batch_size);
         ++next)
      starts.push_back(make_start(
          session.spec(), read_frames(array, blocks[next].first, keys), types,
          upsampling_placement(keys, interval),
          {.seed = options.seed, .name = row.name, .sample = 0, .block = static_cast<std::uint32_t>(next)}));
    const Solved solved = session.solve(starts);
    for (std::size_t i = 0; i < starts.size(); ++i) solved.check_finite(i, row.name);
    frames.insert(frames.end(), solved.atom14.begin(), solved.atom14.end());
    evaluations.push_back(solved.evaluations);
    report(static_cast<double>(next) / static_cast<double>(blocks.size()));
  }
  const at::Tensor whole = at::cat(frames);
  Json own = session.write(row.name, whole, types);
  own["key_frames"] = array.frames();
  own["frames"] = whole.size(0);
  own["evaluations"] = evaluations;
  records.add(0, own);
  records.publish();
  outcome.samples = 1;
  outcome.frames = whole.size(0);
  return outcome;
}

}  // namespace mdgen::sample
