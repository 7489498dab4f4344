#include "table.h"

#include <algorithm>
#include <map>

#include "core/base/text.h"
#include "core/config/schema.h"
#include "tables.h"

namespace mdgen::flags {

Names operator|(Names a, const Names& b) {
  a.insert(b.begin(), b.end());
  return a;
}

std::vector<Effect> effects(std::string_view group) {
  static const std::map<std::string, std::vector<Effect> (*)(), std::less<>> tables = {
      {"", top_effects},
      {"data", data_effects},
      {"model", model_effects},
      {"transport", transport_effects},
      {"optim", optim_effects},
      {"loop", loop_effects},
      {"checkpoint", checkpoint_effects},
      {"logging", logging_effects}};
  const auto found = tables.find(group);
  return found == tables.end() ? std::vector<Effect>{} : found->second();
}

namespace {

struct Group {
  const Names& names;
  const char* text;
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all = {{kFirstStep, "the first step"},
                                         {kLearning, "what is learnt"},
                                         {kCoordinates, "coordinates"},
                                         {kResidues, "residues"},
                                         {kDraws, "draws"},
                                         {kModel, "parameters"},
                                         {kLength, "the run's length"}};
  return all;
}

std::string code(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const std::string& text : texts) quoted.push_back("`" + text + "`");
  return join(quoted, ", ");
}

std::string plain(const Names& names) {
  return join(std::vector<std::string>(names.begin(), names.end()), ", ");
}

// With the groups' names for what they hold.
std::string observed(Names names) {
  std::vector<std::string> texts;
  for (const Group& group : groups()) {
    if (!std::includes(names.begin(), names.end(), group.names.begin(), group.names.end())) continue;
    texts.push_back("*" + std::string(group.text) + "*");
    for (const std::string& name : group.names) names.erase(name);
  }
  texts.insert(texts.end(), names.begin(), names.end());
  return texts.empty() ? "nothing" : join(texts, ", ");
}

std::string setting(const std::vector<std::string>& base) {
  const bool of_peptides =
      base.size() >= kPeptides.size() && std::equal(kPeptides.begin(), kPeptides.end(), base.begin());
  const auto more = of_peptides ? base.begin() + static_cast<std::ptrdiff_t>(kPeptides.size()) : base.begin();
  std::vector<std::string> texts;
  if (of_peptides) texts.emplace_back("tetrapeptides");
  if (more != base.end()) texts.push_back(code({more, base.end()}));
  return texts.empty() ? "" : "; with " + join(texts, ", ");
}

std::string row(const Effect& entry) {
  const std::string chance = entry.may_change.empty() ? "" : " (perhaps " + observed(entry.may_change) + ")";
  return "| `" + entry.field + "=" + entry.with + "` | " + entry.effect + " | changes " +
         observed(entry.changes) + chance + setting(entry.base) + " |\n";
}

std::string row(const Elsewhere& entry) {
  return "| `" + entry.field + (entry.value.empty() ? "" : "=" + entry.value) + "` | " + entry.effect +
         " | " + code(entry.tests) + " |\n";
}

std::string introduction() {
  std::string text =
      "# What each flag does, and the test that shows it\n\n"
      "Made from the table in `tests/flags`; `flag_effects_test` fails when a field of the spec has no row, "
      "and when "
      "this page is not\nthe table. For a row that says what changes, two tiny training runs, without and "
      "with the "
      "flag, are compared bit for bit in\neverything that `tests/flags/observation.h` observes: they differ "
      "in what "
      "the row lists and in nothing else. What cannot be seen\nin such a run is shown by the tests that its "
      "row "
      "names.\n\nIn the lists,\n";
  for (const Group& group : groups())
    text += "- *" + std::string(group.text) + "*: " + plain(group.names) + "\n";
  return text;
}

}  // namespace

std::string markdown() {
  std::string text = introduction();
  for (const std::string& group : config::Schema::get().groups()) {
    text +=
        "\n## " + (group.empty() ? "Top" : group) + "\n\n| flag | what it does | shown by |\n|---|---|---|\n";
    for (const config::Field& field : config::Schema::get().fields()) {
      if (field.group != group) continue;
      for (const Effect& entry : effects(group)) {
        if (entry.field == field.key) text += row(entry);
      }
      for (const Elsewhere& entry : elsewhere()) {
        if (entry.field == field.key) text += row(entry);
      }
    }
  }
  return text;
}

}  // namespace mdgen::flags
