#include "core/base/digest.h"

#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {

std::string spec_digest(const JobSpec& resolved) {
  std::string canonical;
  for (const Field& field : Schema::get().fields()) {
    const bool decides_bits = resolved.determinism() == "strict" && field.key == "threads_per_worker";
    const bool may_change = field.rules.resume_may_change() && !decides_bits;
    const auto value = may_change ? std::nullopt : get_value(resolved, field);
    if (value)
      canonical +=
          field.key + "=" + std::to_string(value_text(*value).size()) + ":" + value_text(*value) + "\n";
  }
  return sha256_hex(canonical);
}

}  // namespace mdgen::config
