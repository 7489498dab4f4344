// A job spec as the reference's command line: the argparse.Namespace that Lightning keeps under
// hyper_parameters.
#pragma once

#include <string>
#include <vector>

#include "core/format/pickle.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::checkpoint {

// Every flag of the reference's train.py with the spec's value (None where it is unset), `ckpt` left out of
// account: None. What only this program knows is not there.
format::PickleValue& to_namespace(format::PickleTree& tree, const v1::JobSpec& resolved);

struct ImportedFlags {
  v1::JobSpec spec;                  // as far as the flags go; not resolved
  std::vector<std::string> unknown;  // "name = value", of flags that this program does not have
  std::vector<std::string> wrong;    // "name = value: why", of values that it cannot take
};

// The other way. Any dict will do. Of `ckpt` nothing is taken over.
ImportedFlags from_namespace(const format::PickleValue& args);

}  // namespace mdgen::checkpoint
