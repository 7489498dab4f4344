// configs/*.yaml say what the reference's README says on its command lines.
#include <filesystem>
#include <map>
#include <sstream>

#include "core/base/files.h"
#include "core/base/text.h"
#include "spec_fixture.h"

namespace mdgen::config {
namespace {

const std::filesystem::path kSource = MDGEN_SOURCE_DIR;

// Configuration -> the words of the reference's command.
std::map<std::string, std::vector<std::string>> reference_commands() {
  std::map<std::string, std::vector<std::string>> commands;
  std::istringstream text(read_file(kSource / "tests/support/reference_commands.txt"));
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t tab = line.find('\t');
    std::istringstream words(line.substr(tab + 1));
    for (std::string word; words >> word;) commands[line.substr(0, tab)].push_back(word);
  }
  return commands;
}

JobSpec config_file(const std::filesystem::path& file) { return parse_yaml(read_file(file), file.string()); }

TEST(Configs, EqualTheReferencesCommands) {
  const auto commands = reference_commands();
  EXPECT_EQ(commands.size(), 5U);
  for (const auto& [name, words] : commands) {
    SCOPED_TRACE(name);
    const Resolved from_file = resolve(config_file(kSource / "configs" / (name + ".yaml")), "/b");
    std::vector<std::string> named = words;
    ASSERT_EQ(named.back(), "[NAME]");
    named.back() = from_file.spec.name();
    EXPECT_EQ(to_yaml(from_file.spec), to_yaml(resolve(from_flags(named), "/b").spec));
    EXPECT_TRUE(from_file.warnings.empty()) << join(from_file.warnings, "; ");
  }
}

TEST(Configs, EveryOneResolves) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "configs")) {
    SCOPED_TRACE(entry.path().string());
    EXPECT_NO_THROW(resolve(config_file(entry.path()), "/b"));
    ++files;
  }
  EXPECT_EQ(files, 6);
}

}  // namespace
}  // namespace mdgen::config
