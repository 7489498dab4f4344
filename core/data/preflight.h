// The examination of a job's data sets: both splits, every array's header. No LibTorch.
#pragma once

#include <functional>

#include "core/base/parallel.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

struct PreflightOptions {
  int threads = 16;                     // they wait for the file system, not for a core
  ParallelProgress progress = nullptr;  // counts arrays; false ends the examination
};

// Opens every array of both splits. What is found does not depend on the number of threads. Problems are not
// thrown but listed, all of them: missing file or column, unknown letter, duplicate name, wrong shape or
// dtype, truncated file, sequence length against the array, too few frames, no replica present. Warnings:
// entries with fewer than three replicas under atlas. With problems the manifest is not complete.
//
// overfit: the training split's first entry alone, as often as the split has rows; the validation set is the
// same and its split is not opened. overfit_peptide: that peptide 1000 times for both; no split is opened.
//
// Throws Error(kAborted) when `progress` ended it.
v1::Preflight examine_data(const v1::JobSpec& resolved, const PreflightOptions& options = {});

}  // namespace mdgen::data
