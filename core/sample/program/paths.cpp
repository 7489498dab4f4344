#include <algorithm>

#include "core/base/error.h"
#include "core/sample/program/arrays.h"
#include "core/sample/program/endpoints.h"
#include "core/sample/program/stop.h"
#include "core/sample/program/tasks.h"
#include "core/sample/start.h"

namespace mdgen::sample {
namespace {

// What one sample starts from, and what its record says of it.
struct Start {
  data::Batch batch;
  Json record;
};

class Starts {
 public:
  Starts(const Session& session, const data::SplitRow& row)
      : session_(session), row_(row), array_(open_array(session, row)), types_(residue_types(row.seqres)) {
    const Options& options = session.options();
    if (!options.endpoints.empty())
      endpoints_ = Endpoints::read(options.endpoints, row.name, is_tps());
    else
      endpoints_ = Endpoints::sets(options.start_idx, options.end_idx);
  }

  Start of(std::uint32_t sample) const { return is_tps() ? interpolation(sample) : window(sample); }

 private:
  bool is_tps() const { return session_.options().verb == Verb::kTps; }
  std::int64_t frames() const { return *session_.options().num_frames; }
  NoiseKey key(std::uint32_t sample) const {
    return {.seed = session_.options().seed, .name = row_.name, .sample = sample, .block = 0};
  }

  Start interpolation(std::uint32_t sample) const {
    const FramePair pair = chosen(sample, array_.frames());
    const at::Tensor given = at::cat({read_frames(array_, pair.start, 1), read_frames(array_, pair.end, 1)});
    Json record = {{"start_idx", pair.start}, {"end_idx", pair.end}};
    if (!pair.states.is_null()) record.update(pair.states);
    return {make_start(session_.spec(), given, types_, interpolation_placement(frames()), key(sample)),
            record};
  }

  // Frames are counted as the model was trained on them: every frame_interval-th.
  Start window(std::uint32_t sample) const {
    const std::int64_t interval = std::max(1, session_.spec().data().frame_interval());
    const std::int64_t there = (array_.frames() + interval - 1) / interval;
    const std::int64_t windows = there - frames() + 1;
    if (windows < 1)
      throw Error(ErrorCode::kInvalidArgument, array_.name() + ": " + std::to_string(there) +
                                                   " frames (every " + std::to_string(interval) +
                                                   ". counted), --num_frames is " + std::to_string(frames()));
    FramePair pair;
    if (session_.options().random_start_idx)
      pair.start = draw_start(seed_of(key(sample)), sample, windows);
    else
      pair = chosen(sample, windows);
    const at::Tensor given = read_frames(array_, pair.start * interval, frames(), interval);
    Json record = {{"start_idx", pair.start}, {"end_idx", pair.start + frames()}};
    if (!pair.states.is_null()) record.update(pair.states);
    return {make_start(session_.spec(), given, types_, window_placement(frames()), key(sample)), record};
  }

  FramePair chosen(std::uint32_t sample, std::int64_t choices) const {
    try {
      return endpoints_.pair(seed_of(key(sample)), sample, choices);
    } catch (const Error& error) {
      throw Error(error.code(), array_.name() + ": " + error.what());
    }
  }

  const Session& session_;
  const data::SplitRow& row_;
  ArrayFile array_;
  at::Tensor types_;
  Endpoints endpoints_;
};

// How the samples' frames are chosen, for their records.
Json choice_of(const Options& options) {
  if (options.random_start_idx) return "random_start_idx";
  if (!options.endpoints.empty()) return std::filesystem::weakly_canonical(options.endpoints).string();
  return {{"start_idx", options.start_idx}, {"end_idx", options.end_idx}};
}

void sample_batch(Session& session, const Starts& starts, const std::vector<std::uint32_t>& samples,
                  const std::string& name, Records& records) {
  std::vector<Start> chosen;
  std::vector<data::Batch> batches;
  for (const std::uint32_t sample : samples) {
    chosen.push_back(starts.of(sample));
    batches.push_back(chosen.back().batch);
  }
  const Solved solved = session.solve(batches);
  for (std::size_t i = 0; i < samples.size(); ++i)
    solved.check_finite(i, name + "_" + std::to_string(samples[i]));
  const Unstoppable until_noted;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Json own = chosen[i].record;
    if (session.spec().model().design() && session.options().verb == Verb::kDesign) {
      Json sequences = Json::array();  // (T, L), as the original's
      for (std::int64_t t = 0; t < solved.aatype[i].size(0); ++t) {
        const at::Tensor row = solved.aatype[i][t].to(at::kLong).contiguous();
        sequences.push_back(std::vector<std::int64_t>(row.data_ptr<std::int64_t>(),
                                                      row.data_ptr<std::int64_t>() + row.numel()));
      }
      own["aa_out"] = std::move(sequences);
    }
    own.update(session.write(name + "_" + std::to_string(samples[i]), solved.atom14[i], solved.types[i]));
    own["evaluations"] = solved.evaluations;
    records.add(samples[i], own);
  }
  records.save_progress();
}

}  // namespace

Outcome sample_paths(Session& session, const data::SplitRow& row, const Report& report) {
  const Options& options = session.options();
  const auto total = static_cast<std::uint32_t>(options.num_batches * options.batch_size);
  Records records(options.out_dir, row.name,
                  session.common({{"array", array_path(options, row.name).string()},
                                  {"num_frames", *options.num_frames},
                                  {"chosen", choice_of(options)}}),
                  options.overwrite);
  Outcome outcome{.name = row.name, .frames = *options.num_frames};
  if (records.complete(total)) {
    outcome.state = Outcome::State::kSkipped;
    return outcome;
  }
  const Starts starts(session, row);
  std::vector<std::uint32_t> missing;
  for (std::uint32_t sample = 0; sample < total; ++sample)
    if (!records.has(sample)) missing.push_back(sample);
  const auto size = static_cast<std::size_t>(options.batch_size);
  for (std::size_t done = 0; done < missing.size();) {
    const std::size_t end = std::min(missing.size(), done + size);
    sample_batch(session, starts,
                 {missing.begin() + static_cast<std::ptrdiff_t>(done),
                  missing.begin() + static_cast<std::ptrdiff_t>(end)},
                 row.name, records);
    done = end;
    report(static_cast<double>(done) / static_cast<double>(missing.size()));
  }
  records.publish();
  outcome.samples = static_cast<std::int64_t>(missing.size());
  return outcome;
}

}  // namespace mdgen::sample
