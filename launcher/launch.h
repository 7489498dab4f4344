// mdgen-launch behind its flags: finds out who this process is and does its part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launcher/run.h"

namespace mdgen::launcher {

// `words`: what stands after `train`; `n`: of -n. Returns the exit status; throws Error when the environment
// or the spec is refused.
int launch(const std::vector<std::string>& words, std::optional<int> n, const Programs& programs,
           const Interrupts& interrupts);

// Says an error on standard error; the exit status that it stands for.
int report(const Error& error);

}  // namespace mdgen::launcher
