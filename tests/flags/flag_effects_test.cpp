// Every field of the job spec has an entry in the table, and what the entry says is so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/config/schema.h"
#include "fixture.h"
#include "observation.h"
#include "table.h"

namespace mdgen::flags {
namespace {

namespace fs = std::filesystem;

std::string listed(const std::string& what, const Names& names) {
  return names.empty() ? "" : what + join(std::vector<std::string>(names.begin(), names.end()), ", ") + "\n";
}

// What the entry says and is not so, and what is so and the entry does not say.
std::string mistakes(const Effect& entry, const Names& found) {
  Names unexpected;
  Names missing;
  for (const std::string& name : found) {
    if (!entry.changes.contains(name) && !entry.may_change.contains(name)) unexpected.insert(name);
  }
  for (const std::string& name : entry.changes) {
    if (!found.contains(name)) missing.insert(name);
  }
  return listed("changed, though it should not: ", unexpected) +
         listed("the same, though it should not: ", missing);
}

class FlagEffects : public ::testing::TestWithParam<std::string> {
 protected:
  Observation seen(const std::vector<std::string>& assignments) const {
    const config::Resolved resolved = spec_of(data_, assignments);
    return observe(resolved.spec, resolved.warnings);
  }

  Data data_;
};

std::string group_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param.empty() ? "top" : info.param;
}

TEST_P(FlagEffects, AreWhatTheTableSays) {
  std::map<std::vector<std::string>, Observation> without;
  for (const Effect& entry : effects(GetParam())) {
    const std::string assignment = entry.field + "=" + entry.with;
    SCOPED_TRACE(assignment + " on {" + join(entry.base, ", ") + "}");
    try {
      if (!without.contains(entry.base)) without[entry.base] = seen(entry.base);
      std::vector<std::string> with = entry.base;
      with.push_back(assignment);
      EXPECT_EQ(mistakes(entry, differences(without.at(entry.base), seen(with))), "");
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Group, FlagEffects, ::testing::ValuesIn(config::Schema::get().groups()), group_name);

// A difference that comes and goes by itself would make the table meaningless.
TEST_F(FlagEffects, TheSameSpecTwice_DiffersInNothing) {
  EXPECT_THAT(differences(seen({}), seen({})), ::testing::IsEmpty());
}

// "data.crop" or "optim.precision=64-true".
std::set<std::string> covered() {
  std::set<std::string> covered;
  for (const std::string& group : config::Schema::get().groups()) {
    for (const Effect& entry : effects(group)) {
      covered.insert(entry.field);
      covered.insert(entry.field + "=" + entry.with);
    }
  }
  for (const Elsewhere& entry : elsewhere()) {
    covered.insert(entry.field);
    covered.insert(entry.field + "=" + entry.value);
  }
  return covered;
}

TEST(FlagTable, HasEveryFieldAndEveryChoice) {
  const std::set<std::string> known = covered();
  for (const config::Field& field : config::Schema::get().fields()) {
    EXPECT_TRUE(known.contains(field.key)) << field.key << " has no entry in tests/flags";
    for (const std::string& choice : field.rules.choices()) {
      if (choice == field.rules.default_()) continue;
      EXPECT_TRUE(known.contains(field.key + "=" + choice)) << field.key << "=" << choice << " has no entry";
    }
  }
}

TEST(FlagTable, NamesFieldsThatAreThere) {
  const auto is_field = [](const std::string& key) { return config::Schema::get().by_key(key) != nullptr; };
  for (const std::string& group : config::Schema::get().groups()) {
    for (const Effect& entry : effects(group)) {
      EXPECT_TRUE(is_field(entry.field)) << entry.field;
      EXPECT_FALSE(entry.effect.empty()) << entry.field;
    }
  }
  for (const Elsewhere& entry : elsewhere()) {
    EXPECT_TRUE(is_field(entry.field)) << entry.field;
    EXPECT_FALSE(entry.tests.empty()) << entry.field;
  }
}

// All tests of the tree: "Suite.Test" and "test_name".
std::set<std::string> tests_in_the_tree() {
  static const std::regex google(R"(\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\))");
  static const std::regex python(R"((?:^|\n)\s*def (test_\w+)\()");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(MDGEN_SOURCE_DIR) / "tests")) {
    const bool is_python = entry.path().extension() == ".py";
    if (entry.path().extension() != ".cpp" && !is_python) continue;
    const std::string text = read_file(entry.path());
    const std::regex& pattern = is_python ? python : google;
    for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match)
      names.insert(is_python ? (*match)[1].str() : (*match)[1].str() + "." + (*match)[2].str());
  }
  return names;
}

TEST(FlagTable, NamesTestsThatAreThere) {
  const std::set<std::string> tests = tests_in_the_tree();
  EXPECT_TRUE(tests.contains("FlagTable.NamesTestsThatAreThere"));
  for (const Elsewhere& entry : elsewhere()) {
    for (const std::string& test : entry.tests)
      EXPECT_TRUE(tests.contains(test)) << entry.field << " names " << test;
  }
}

TEST(FlagTable, DocsAreCurrent) {
  const fs::path file = fs::path(MDGEN_SOURCE_DIR) / "docs/flags.md";
  const std::string expected = markdown();
  if (fs::exists(file) && read_file(file) == expected) return;
  const fs::path made = fs::path(MDGEN_BIN_DIR).parent_path() / "tests/flags.md";
  std::ofstream(made) << expected;
  ADD_FAILURE() << "docs/flags.md is not what the table says: cp " << made.string() << " " << file.string();
}

}  // namespace
}  // namespace mdgen::flags
