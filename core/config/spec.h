// The job spec: from YAML and flags to a complete, checked message. The schema (names, defaults, choices,
// help) is proto/mdgen/v1/job_spec.proto; nothing about a field is written anywhere else.
//
// All functions throw Error. A text about a key or flag names it, its value, what is allowed and the nearest
// known name. Functions are pure but for resolve(), which asks the file system for the base folder's absolute
// path.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::config {

using v1::JobSpec;

// Reads YAML (or JSON, which is YAML). `source` names it in errors. Unknown and repeated keys are errors; '-'
// and '_' in keys are the same. Fields that the text does not mention stay unset.
JobSpec parse_yaml(std::string_view text, const std::string& source);

// Sets the fields that the reference's flags and ours name: `--num_frames 250`, `--path-type=GVP`, `--atlas`,
// `--workers.max 4`. Values win over those that are set already. Each flag is a leaf field's name or one of
// its aliases.
void apply_flags(JobSpec& spec, std::span<const std::string> arguments);

// One assignment by path: "optim.lr=1e-3", "workers.max=4"; a unique leaf name alone will do.
void apply_assignment(JobSpec& spec, const std::string& assignment);

struct Resolved {
  JobSpec spec;  // every default filled in (but of fields that nobody reads), every path absolute,
                 // workers.max and global_batch_size set
  std::vector<std::string> warnings;  // fields that have no effect
};

// Fills in defaults, makes relative paths absolute against `base`, and checks everything with check().
Resolved resolve(JobSpec spec, const std::filesystem::path& base);

// Missing fields, bounds, choices and combinations of a resolved spec; one error names all that is wrong.
// kInvalidArgument: never right, or not resolved. kUnimplemented: does not work yet.
void check(const JobSpec& resolved);

// The fields that are set and have no effect, a sentence each.
std::vector<std::string> warnings(const JobSpec& resolved);

// What has a default, at its default.
const JobSpec& default_spec();

// The YAML that parse_yaml reads back to the same message; set fields only, in the schema's order.
std::string to_yaml(const JobSpec& spec);

// snake_case JSON and back (the proto's JSON mapping); 64-bit integers as numbers.
std::string to_json(const JobSpec& spec);
JobSpec from_json(const std::string& json);

// SHA-256 over the resolved spec's canonical form, without the fields that a resume may change (rule
// resume_may_change: workers, resume, max_steps, epochs, threads_per_worker, num_workers, logging,
// checkpoint, work_dir, validation, the learning rate's schedule).
std::string spec_digest(const JobSpec& resolved);

// For --help: every flag with its default and help, by group.
std::string flags_help();

// docs/spec.md: Markdown tables of every field.
std::string markdown_table();

// A spec to start from: what is required, and every other field that works as a comment with its default.
std::string commented_yaml();

}  // namespace mdgen::config
