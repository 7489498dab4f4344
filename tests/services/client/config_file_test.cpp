#include "services/client/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "fake_world.h"
#include "services/client/usage_error.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string problem_of(const std::string& text) {
  try {
    parse_config(text, "/c/config.yaml", "/home/u");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

TEST(ClientConfig, ReadsItsKeys) {
  const ClientConfig config = parse_config("address: h:7\nca: ~/tls.crt\ntoken_file: token\noutput: json\n",
                                           "/c/config.yaml", "/home/u");
  EXPECT_EQ(config.address, "h:7");
  EXPECT_EQ(config.ca, "/home/u/tls.crt");
  EXPECT_EQ(config.token_file, "/c/token");
  EXPECT_EQ(config.output, Output::kJson);
  EXPECT_EQ(parse_config("", "/c", "/h").address, "");
  EXPECT_EQ(parse_config("ca: /abs\n", "/c/x", "/h").ca, "/abs");
}

TEST(ClientConfig, NamesTheLineThatIsWrong) {
  EXPECT_THAT(problem_of("address: h:7\n# \ntoken: x\n"),
              AllOf(HasSubstr("/c/config.yaml:3: unknown key \"token\""), HasSubstr("token_file")));
  EXPECT_THAT(problem_of("address: h:7\noutput: xml\n"), HasSubstr("/c/config.yaml:2: output \"xml\""));
  EXPECT_THAT(problem_of("address: [a]\n"), HasSubstr("/c/config.yaml:1: \"address\" needs a text"));
  EXPECT_THAT(problem_of("- a\n"), HasSubstr("not a map"));
  EXPECT_THAT(problem_of("address: [x\n"), HasSubstr("/c/config.yaml:"));
}

TEST(ClientConfig, WhereItLies) {
  std::map<std::string, std::string> set{{"HOME", "/home/u"}};
  const Variable variable = [&](const std::string& name) { return set.contains(name) ? set[name] : ""; };
  EXPECT_EQ(config_file_of(variable), "/home/u/.config/mdgen/config.yaml");
  set["XDG_CONFIG_HOME"] = "/x";
  EXPECT_EQ(config_file_of(variable), "/x/mdgen/config.yaml");
  set["MDGEN_CONFIG"] = "/m.yaml";
  EXPECT_EQ(config_file_of(variable), "/m.yaml");
  EXPECT_THROW(load_config(variable), UsageError) << "one that is named must be there";
  set.erase("MDGEN_CONFIG");
  EXPECT_EQ(load_config(variable).address, "");
  set.clear();
  EXPECT_EQ(config_file_of(variable), "");
  EXPECT_EQ(load_config(variable).address, "");
}

struct Precedence : ::testing::Test {
  mdgen::testing::TempDir dir;
  FakeWorld fake;

  Precedence() {
    write_file_synced(dir / "c.yaml", "address: config:3\nca: c.crt\ntoken_file: c.token\noutput: json\n");
    fake.variables = {{"MDGEN_CONFIG", (dir / "c.yaml").string()}, {"MDGEN_ADDRESS", "env:2"}};
    fake.api.on_get = [](const std::string&) { return job_in(v1::JOB_STATE_RUNNING); };
  }
};

TEST_F(Precedence, FlagThenEnvironmentThenFile) {
  EXPECT_EQ(fake.run({"status", "j1", "--address", "flag:1"}), 0);
  EXPECT_EQ(fake.connected.address, "flag:1");
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_EQ(fake.connected.address, "env:2");
  fake.variables.erase("MDGEN_ADDRESS");
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_EQ(fake.connected.address, "config:3");
  EXPECT_EQ(fake.connected.access.ca_file, dir / "c.crt");
  EXPECT_EQ(fake.connected.access.token_file, dir / "c.token");
  fake.variables["MDGEN_TOKEN"] = "t";
  fake.variables["MDGEN_CA"] = "e.crt";
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_EQ(fake.connected.access.ca_file, "");
  EXPECT_EQ(fake.connected.access.token_file, "") << "MDGEN_TOKEN wins over the file";
  EXPECT_EQ(fake.run({"status", "j1", "--token_file", "f"}), 0);
  EXPECT_EQ(fake.connected.access.token_file, "f");
}

TEST_F(Precedence, OutputIsNotForSubmit) {
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_EQ(fake.out.str().front(), '{');
  fake.out.str("");
  EXPECT_EQ(fake.run({"status", "j1", "-o", "table"}), 0);
  EXPECT_THAT(fake.out.str(), ::testing::StartsWith("job "));
  fake.out.str("");
  fake.api.on_submit = [](const auto&, const auto&) { return job_in(v1::JOB_STATE_QUEUED); };
  EXPECT_EQ(fake.run({"submit", "--", "--train_split", "S", "--val_split", "V", "--data_dir", "D"}), 0);
  EXPECT_EQ(fake.out.str(), "j1\n");
}

TEST_F(Precedence, AWrongFileIsUsage) {
  write_file_synced(dir / "wrong.yaml", "adress: h:1\n");
  fake.variables["MDGEN_CONFIG"] = (dir / "wrong.yaml").string();
  EXPECT_EQ(fake.run({"status", "j1"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("wrong.yaml:1: unknown key \"adress\""));
  EXPECT_EQ(fake.run({"help"}), 0);
  EXPECT_EQ(fake.run({"version"}), 0);
}

}  // namespace
}  // namespace mdgen::client
