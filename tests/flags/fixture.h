// The data sets and the specs of the table's runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/spec.h"
#include "tests/support/synthetic_dataset.h"
#include "tests/support/temp_dir.h"

namespace mdgen::flags {

// Under the folder that "$DATA" names in the table's values:
//   atlas      two proteins, three replicas each; files with suffix "_alt" hold another trajectory
//   other      the same names and sequences with other trajectories
//   peptides   three tetrapeptides, without and with replicas; the first has a copy under its sequence's name
//   one.csv    the atlas set's second protein alone
class Data {
 public:
  Data();
  std::string expand(std::string text) const;  // "$DATA" and "$WORK" (a fresh folder each time)

 private:
  testing::TempDir folder_;
  mutable int runs_ = 0;
};

// A tiny model, six steps of four samples (three an epoch), a validation and a checkpoint at each epoch's
// end.
config::Resolved spec_of(const Data& data, const std::vector<std::string>& assignments);

}  // namespace mdgen::flags
