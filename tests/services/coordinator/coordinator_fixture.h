// A coordinator with a store in memory, whose data sets are all good and have 20 steps.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/config/spec.h"
#include "services/coordinator/coordinator.h"
#include "tests/services/coordinator/fake_world.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator::testing {

struct CoordinatorTest : ::testing::Test {
  CoordinatorTest() {
    auto kept = std::make_unique<MemoryStore>();
    store = kept.get();
    CoordinatorOptions options;
    options.tick = std::chrono::milliseconds(5);
    coordinator = std::make_unique<Coordinator>(options, std::move(kept), 1, clock,
                                                [](const RequestManifest&, const ParallelProgress&) {
                                                  Validated result;
                                                  result.total_steps = 20;
                                                  result.manifest.set_digest("manifest");
                                                  return result;
                                                });
  }
  v1::JobSpec spec(const std::string& name, int workers = 1) const {
    const std::string count = std::to_string(workers);
    return config::resolve(config::parse_yaml("{name: " + name + ", work_dir: runs, workers: {min: " + count +
                                                  ", max: " + count +
                                                  "}, data: {train_split: t, val_split: v, data_dir: d}, "
                                                  "model: {sim_condition: true}}",
                                              "test"),
                           folder.path())
        .spec;
  }

  mdgen::testing::TempDir folder;
  SystemClock clock;
  MemoryStore* store = nullptr;
  std::unique_ptr<Coordinator> coordinator;
};

}  // namespace mdgen::coordinator::testing
