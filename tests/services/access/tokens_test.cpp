// The tokens file.
#include "services/access/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/utc.h"
#include "tests/support/temp_dir.h"

namespace mdgen::access {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kDigest = sha256_hex("alice's");

std::string error_of(const std::function<void()>& function) {
  try {
    function();
    return "(no error)";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Tokens, Yaml_ComesBackAsItWent) {
  TokenTable table;
  table.add({.name = "alice",
             .role = Role::kSubmitter,
             .sha256 = kDigest,
             .expires = Moment(std::chrono::seconds(1'801'440'000))});
  table.add({.name = "node1", .role = Role::kWorker, .certificate = "node1.example.org"});
  const TokenTable again = TokenTable::from_yaml(table.to_yaml(), "it");
  ASSERT_EQ(again.entries().size(), 2U);
  EXPECT_EQ(again.entries()[0].name, "alice");
  EXPECT_EQ(again.entries()[0].role, Role::kSubmitter);
  EXPECT_EQ(utc_text(*again.entries()[0].expires), "2027-02-01T00:00:00Z");
  EXPECT_EQ(again.find_token("alice's"), &again.entries()[0]);
  EXPECT_EQ(again.find_certificate("node1.example.org"), &again.entries()[1]);
  EXPECT_EQ(again.to_yaml(), table.to_yaml());
}

TEST(Tokens, Find_IsNotMisled) {
  TokenTable table;
  table.add({.name = "alice", .role = Role::kAdmin, .sha256 = kDigest});
  table.add({.name = "node", .role = Role::kWorker, .certificate = "node"});
  for (const std::string& wrong : {std::string(), kDigest, std::string("alice"), std::string("alice's ")})
    EXPECT_EQ(table.find_token(wrong), nullptr) << wrong;
  for (const char* wrong : {"", "nod", "node2", "alice"})
    EXPECT_EQ(table.find_certificate(wrong), nullptr) << wrong;
}

TEST(Tokens, FromYaml_NamesFileAndCulprit) {
  const std::string good = "name: a, role: viewer, sha256: " + kDigest;
  const std::pair<std::string, std::string> cases[] = {
      {"{name: a, role: king, sha256: " + kDigest + "}",
       "\"king\" is none of viewer, submitter, admin, worker"},
      {"{" + good + ", certificate: b}", "give either sha256 or certificate"},
      {"{name: a, role: viewer}", "give either sha256 or certificate"},
      {"{name: a, role: viewer, sha256: 123}", "a: sha256 is not 64 hexadecimal digits"},
      {"{name: a/b, role: viewer, sha256: " + kDigest + "}", "the name \"a/b\""},
      {"{" + good + ", colour: red}", "\"colour\" is not known"},
      {"{" + good + ", expires: soon}", "\"soon\" is no time"},
      {"{" + good + ", expires: 90d}", "\"90d\" is no time"},
      {"[1]", "an entry is not"},
  };
  for (const auto& [entry, said] : cases)
    EXPECT_THAT(error_of([&] { TokenTable::from_yaml("tokens: [" + entry + "]", "tokens.yaml"); }),
                AllOf(HasSubstr("tokens.yaml: "), HasSubstr(said)));
  for (const char* text : {"tokens: 3", "token: []", "[", "tokens: []\nmore: 1"})
    EXPECT_THAT(error_of([&] { TokenTable::from_yaml(text, "tokens.yaml"); }), HasSubstr("tokens.yaml: "))
        << text;
  EXPECT_TRUE(TokenTable::from_yaml("tokens: []", "it").entries().empty());
  EXPECT_TRUE(TokenTable::from_yaml("# nobody\n", "it").entries().empty());
}

TEST(Tokens, Add_OneRoleANameAndOneNameAToken) {
  TokenTable table;
  table.add({.name = "alice", .role = Role::kViewer, .sha256 = kDigest});
  table.add({.name = "alice", .role = Role::kViewer, .sha256 = sha256_hex("the next")});
  EXPECT_THAT(
      error_of([&] { table.add({.name = "alice", .role = Role::kAdmin, .sha256 = sha256_hex("x")}); }),
      HasSubstr("alice has the role viewer already"));
  EXPECT_THAT(error_of([&] { table.add({.name = "bob", .role = Role::kAdmin, .sha256 = kDigest}); }),
              HasSubstr("is that of alice already"));
}

TEST(Tokens, Remove_ByNameOrById) {
  TokenTable table;
  table.add({.name = "alice", .role = Role::kViewer, .sha256 = kDigest});
  table.add({.name = "alice", .role = Role::kViewer, .sha256 = sha256_hex("the next")});
  table.add({.name = "bob", .role = Role::kViewer, .sha256 = sha256_hex("bob's")});
  EXPECT_EQ(table.remove(kDigest.substr(0, 8)), 1);
  EXPECT_EQ(table.find_token("alice's"), nullptr);
  EXPECT_NE(table.find_token("the next"), nullptr);
  EXPECT_EQ(table.remove("alice"), 1);
  EXPECT_EQ(table.remove("nobody"), 0);
  EXPECT_NE(table.find_token("bob's"), nullptr);
}

TEST(Tokens, ParseMoment_TakesDaysAndSpans) {
  const Moment now(std::chrono::seconds(1'800'000'000));  // 2027-01-15T08:00:00Z
  EXPECT_EQ(utc_text(parse_moment("2027-01-31", now)), "2027-01-31T00:00:00Z");
  EXPECT_EQ(utc_text(parse_moment("2027-01-31T12:34:56Z", now)), "2027-01-31T12:34:56Z");
  EXPECT_EQ(utc_text(parse_moment("90d", now)), "2027-04-15T08:00:00Z");
  EXPECT_EQ(utc_text(parse_moment("12h", now)), "2027-01-15T20:00:00Z");
  for (const char* wrong : {"", "d", "tomorrow", "2027-13-01", "9999999d", "2027-01-31T12:34", "-3d"})
    EXPECT_THROW(parse_moment(wrong, now), Error) << wrong;
}

TEST(TokensFile, ChangedByManyAtATime_LosesNobody) {
  const testing::TempDir folder;
  const auto file = folder / "tokens.yaml";
  std::vector<std::thread> people;
  for (int i = 0; i < 8; ++i) {
    people.emplace_back([&, i] {
      change_tokens(file, [&](TokenTable& table) {
        table.add({.name = "p" + std::to_string(i),
                   .role = Role::kViewer,
                   .sha256 = sha256_hex(std::to_string(i))});
      });
    });
  }
  for (auto& one : people) one.join();
  EXPECT_EQ(read_tokens(file).entries().size(), 8U);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(file).permissions(), perms::owner_read | perms::owner_write);
}

TEST(TokensFile, WritableByOthers_IsRefused) {
  const testing::TempDir folder;
  write_file_synced(folder / "tokens.yaml", "tokens: []\n");
  std::filesystem::permissions(folder / "tokens.yaml", std::filesystem::perms(0664));
  EXPECT_THAT(error_of([&] { read_tokens(folder / "tokens.yaml"); }), HasSubstr("chmod go-w"));
}

}  // namespace
}  // namespace mdgen::access
