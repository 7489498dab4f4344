// A case: a golden file, run through the project's own code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/parity/comparison.h"
#include "core/parity/golden_file.h"

namespace mdgen::parity {

enum class Verdict { kPass, kFail, kUnsupported };

struct Result {
  std::string name;
  Family prep{"prep"}, out{"out"}, loss{"loss"}, grad{"grad"}, train{"train"};
  bool has_ode = false;  // there is no sampler to check it with yet
  Verdict verdict = Verdict::kFail;
  std::vector<std::string> reasons;  // why it is not a pass

  // "sim prep=1e-7 out=3e-7 loss=0 grad=4e-6 train=- ode=not-checked PASS"
  std::string row() const;
};

// Never throws: what goes wrong is in the result.
Result run_case(const std::filesystem::path& file);

// Each fills the families it can of a result; both throw Error.
void run_geometry(const GoldenFile& golden, Result& result);
void run_model(const GoldenFile& golden, Result& result);

}  // namespace mdgen::parity
