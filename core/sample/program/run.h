// The whole of mdgen-sample behind its flags.
#pragma once

#include <ostream>

#include "core/base/clock.h"
#include "core/sample/program/options.h"

namespace mdgen::sample {

// Samples every protein that is asked for; one that fails does not end the run. Writes a table, a line a
// protein, to `out`; its last line is "samples: N done, N skipped, N failed". False when one failed. Throws
// Error when nothing can be done at all.
bool run(Options options, const Clock& clock, std::ostream& out);

}  // namespace mdgen::sample
