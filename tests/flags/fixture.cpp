#include "fixture.h"

#include <fstream>

namespace mdgen::flags {
namespace {

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

constexpr int kFrames = 14;

}  // namespace

Data::Data() {
  const testing::SyntheticOptions atlas{.lengths = {7, 11}, .frames = kFrames, .replicas = 3};
  testing::make_synthetic_dataset(folder_ / "atlas", atlas);
  testing::SyntheticOptions changed = atlas;
  changed.seed = 2;
  testing::make_synthetic_dataset(folder_ / "other", changed);
  changed.suffix = "_alt";
  const auto made = testing::make_synthetic_dataset(folder_ / "atlas", changed);
  std::ofstream(folder_ / "one.csv") << "name,seqres\n" << made.names[1] << ',' << made.sequences[1] << '\n';
  const auto peptides = testing::make_synthetic_dataset(
      folder_ / "peptides", {.lengths = {4, 4, 4}, .frames = kFrames, .replicas = 0});
  testing::make_synthetic_dataset(folder_ / "peptides", {.lengths = {4, 4, 4}, .frames = kFrames, .seed = 3});
  std::filesystem::copy_file(peptides.data_dir / (peptides.names[0] + ".npy"),
                             peptides.data_dir / (peptides.sequences[0] + ".npy"));
}

std::string Data::expand(std::string text) const {
  if (text.find("$WORK") != std::string::npos) {
    const std::filesystem::path work = folder_ / ("work" + std::to_string(++runs_));
    std::filesystem::create_directories(work);
    replace_all(text, "$WORK", work.string());
  }
  replace_all(text, "$DATA", folder_.path().string());
  return text;
}

config::Resolved spec_of(const Data& data, const std::vector<std::string>& assignments) {
  const std::vector<std::string> common = {"name=run",
                                           "work_dir=$WORK",
                                           "train_split=$DATA/atlas/train.csv",
                                           "val_split=$DATA/atlas/val.csv",
                                           "data_dir=$DATA/atlas/data",
                                           "atlas=true",
                                           "num_frames=4",
                                           "crop=9",
                                           "train_repeat=6",
                                           "num_workers=0",
                                           "sim_condition=true",
                                           "prepend_ipa=true",
                                           "num_layers=1",
                                           "embed_dim=8",
                                           "mha_heads=2",
                                           "ipa_heads=2",
                                           "ipa_head_dim=4",
                                           "ipa_qk=2",
                                           "ipa_v=2",
                                           "batch_size=2",
                                           "global_batch_size=4",
                                           "ema=true",
                                           "lr=0.01",
                                           "ema_decay=0.5",
                                           "epochs=2",
                                           "sampling_method=euler",
                                           "ode_steps=3"};
  v1::JobSpec spec;
  for (const auto& group : {common, assignments}) {
    for (const std::string& assignment : group) config::apply_assignment(spec, data.expand(assignment));
  }
  return config::resolve(spec, std::filesystem::path("/"));
}

}  // namespace mdgen::flags
