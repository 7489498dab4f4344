// A synthetic data set and the spec and manifest that go with it.
#pragma once

#include <string>

#include "core/data/dataset.h"
#include "core/data/draws.h"
#include "core/data/manifest.h"
#include "tests/support/synthetic_dataset.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {

constexpr int kChannels = 21;

struct DataFixture {
  explicit DataFixture(const testing::SyntheticOptions& options = {}, int num_frames = 6, int crop = 15) {
    made = testing::make_synthetic_dataset(folder.path(), options);
    spec.set_seed(137);
    spec.mutable_data()->set_train_split(made.train_split);
    spec.mutable_data()->set_data_dir(made.data_dir);
    spec.mutable_data()->set_suffix(options.suffix);
    spec.mutable_data()->set_num_frames(num_frames);
    spec.mutable_data()->set_crop(crop);
    spec.mutable_data()->set_atlas(options.replicas > 0);
    spec.mutable_optim()->set_batch_size(1);
    spec.mutable_loop()->set_no_validate(true);
    manifest = build_manifest(spec).manifest.train();
  }

  Dataset dataset() const { return Dataset(spec, manifest, kChannels); }
  const v1::ManifestEntry& entry(std::uint32_t sample) const {
    return manifest.entries(static_cast<int>(sample) % manifest.entries_size());
  }
  Window window(std::uint32_t epoch, std::uint32_t sample) const {
    return draw_window({.seed = spec.seed(), .epoch = epoch, .sample = sample}, entry(sample),
                       window_rules(spec));
  }
  std::uint64_t replica_seed(std::uint32_t sample, const Window& window) const {
    const std::uint64_t protein = sample % static_cast<std::uint32_t>(manifest.entries_size());
    return (1000 + protein) * 10 + static_cast<std::uint64_t>(entry(sample).replicas(window.replica).index());
  }

  testing::TempDir folder;
  testing::SyntheticDataset made;
  v1::JobSpec spec;
  v1::Manifest manifest;
};

}  // namespace mdgen::data
