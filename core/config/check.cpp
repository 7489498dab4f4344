#include <algorithm>
#include <filesystem>
#include <set>

#include "core/base/error.h"
#include "core/base/labels.h"
#include "core/base/restart_kinds.h"
#include "core/base/text.h"
#include "core/config/combinations.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

struct Findings {
  std::vector<std::string> missing;
  std::vector<std::string> wrong;
  std::vector<std::string> not_yet;
};

// The validation split is read when there is a validation, on a set of its own; no split when one peptide is
// named.
bool is_needed(const JobSpec& spec, const Field& field) {
  const bool one_peptide = !spec.data().overfit_peptide().empty();
  if (field.key == "data.train_split" && one_peptide) return false;
  if (field.key == "data.val_split" && (one_peptide || spec.data().overfit() || spec.loop().no_validate()))
    return false;
  return field.rules.required();
}

void check_absent(const JobSpec& spec, const Field& field, Findings& findings) {
  if (is_needed(spec, field)) {
    findings.missing.push_back(field.key);
  } else if (default_value(field) && field.rules.support() != v1::NEVER_READ) {
    findings.wrong.push_back(field.key + " is not set (a resolved spec has every default filled in)");
  }
}

void check_support(const Field& field, const Value& value, Findings& findings) {
  const std::optional<Value> standard = default_value(field);
  if (field.rules.support() == v1::NOT_YET && value != standard) {
    findings.not_yet.push_back(field.key + " is not implemented yet (given: " + value_text(value) +
                               "; works now: " + (standard ? value_text(*standard) : "leaving it out") + ")");
  }
}

void check_field(const JobSpec& spec, const Field& field, Findings& findings) {
  const std::optional<Value> value = get_value(spec, field);
  if (!value) return check_absent(spec, field, findings);
  if (!is_allowed(field, *value)) {
    findings.wrong.push_back(field.key + " cannot be \"" + value_text(*value) +
                             "\"; allowed: " + allowed_text(field));
  } else {
    check_support(field, *value, findings);
  }
  if (field.rules.path() && !std::filesystem::path(std::get<std::string>(*value)).is_absolute()) {
    findings.wrong.push_back(field.key + " = \"" + value_text(*value) + "\" is not an absolute path");
  }
}

void check_restart_on(const JobSpec& spec, Findings& findings) {
  const std::vector<std::string> words = words_of(spec.recovery().restart_on());
  const bool alone = words.size() == 1 && (words[0] == "all" || words[0] == "none");
  if (alone || spec.recovery().restart_on().empty()) return;
  for (const std::string& word : words) {
    if (is_restart_kind(word)) continue;
    findings.wrong.push_back(
        "recovery.restart_on names \"" + word + "\"; allowed: all, none, or a list of " +
        join(std::vector<std::string>(kRestartKinds.begin(), kRestartKinds.end()), ", "));
  }
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._-+=@").find(c) != std::string_view::npos;
}

void check_name(const JobSpec& spec, Findings& findings) {
  const std::string& name = spec.name();
  const bool starts_well = !name.empty() && name.front() != '.' && name.front() != '-';
  if (!starts_well || name.size() > 128 || !std::all_of(name.begin(), name.end(), is_name_character)) {
    findings.wrong.push_back("name cannot be \"" + name +
                             "\"; it names the run's folder: 1 to 128 of letters, digits and ._-+=@, not "
                             "beginning with '.' or '-'");
  }
}

void check_labels(const JobSpec& spec, Findings& findings) {
  const std::pair<const char*, const std::string*> fields[] = {
      {"labels", &spec.labels()}, {"workers.selector", &spec.workers().selector()}};
  for (const auto& [name, text] : fields) {
    try {
      parse_labels(name, *text);
    } catch (const Error& error) {
      findings.wrong.push_back(error.what());
    }
  }
}

void check_after(const JobSpec& spec, Findings& findings) {
  if (trim(spec.after()).empty()) return;
  std::set<std::string> seen;
  for (const std::string& part : split(spec.after(), ',')) {
    const std::string job(trim(part));
    if (job.empty()) {
      findings.wrong.push_back(
          "after = \"" + spec.after() +
          "\" has an empty word; right is a list of jobs, ids or names, such as prep,pilot");
    } else if (!seen.insert(job).second) {
      findings.wrong.push_back("after names " + job + " twice");
    }
  }
}

void check_sizes(const JobSpec& spec, Findings& findings) {
  const v1::WorkerRange& workers = spec.workers();
  if (workers.max() < workers.min()) {
    findings.wrong.push_back("workers.max = " + std::to_string(workers.max()) +
                             " is below workers.min = " + std::to_string(workers.min()));
  }
  if (!spec.has_global_batch_size()) {
    findings.wrong.push_back("global_batch_size is not set (a resolved spec has it)");
  }
  const std::int64_t dim = spec.model().embed_dim();
  const std::int64_t heads = spec.model().mha_heads();
  const bool needs_pairs = !spec.model().no_rope();
  if (heads > 0 && (dim % heads != 0 || (needs_pairs && dim / heads % 2 != 0))) {
    findings.wrong.push_back("model.embed_dim = " + std::to_string(dim) +
                             " does not divide into model.mha_heads = " + std::to_string(heads) + " heads" +
                             (needs_pairs ? " of an even number of channels" : ""));
  }
  if (dim % 2 != 0 && (spec.model().abs_pos_emb() || spec.model().abs_time_emb())) {
    findings.wrong.push_back("model.embed_dim = " + std::to_string(dim) +
                             " must be even for abs_pos_emb and abs_time_emb (sines and cosines)");
  }
}

// A name and the suffix make a path in data_dir, a subfolder of it at most.
void check_suffix(const JobSpec& spec, Findings& findings) {
  const std::string& suffix = spec.data().suffix();
  for (const std::string& part : split(suffix, '/')) {
    if (part == ".." || suffix.find('\0') != std::string::npos) {
      findings.wrong.push_back("data.suffix = \"" + suffix + "\" leads out of data.data_dir");
      return;
    }
  }
}

void check_loop(const JobSpec& spec, Findings& findings) {
  if (spec.loop().validate() && spec.loop().no_validate()) {
    findings.wrong.push_back(
        "loop.validate and loop.no_validate contradict each other: nothing would be done");
  }
}

}  // namespace

void check(const JobSpec& resolved) {
  Findings findings;
  for (const Field& field : Schema::get().fields()) check_field(resolved, field, findings);
  check_name(resolved, findings);
  check_restart_on(resolved, findings);
  check_labels(resolved, findings);
  check_after(resolved, findings);
  check_sizes(resolved, findings);
  check_loop(resolved, findings);
  check_suffix(resolved, findings);
  for (const std::string& text : refused_combinations(resolved)) findings.wrong.push_back(text);
  if (!findings.missing.empty()) {
    findings.wrong.insert(findings.wrong.begin(), "missing, but required: " + join(findings.missing, ", "));
  }
  if (!findings.wrong.empty()) throw Error(ErrorCode::kInvalidArgument, join(findings.wrong, "; "));
  if (!findings.not_yet.empty()) throw Error(ErrorCode::kUnimplemented, join(findings.not_yet, "; "));
}

}  // namespace mdgen::config
