// Who comes in, with which role, and who does not.
#include "services/access/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "services/access/change.h"
#include "tests/support/temp_dir.h"

namespace mdgen::access {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = Verdict::Kind;

struct Hands : Clock {
  Steady steady() const override { return Steady(elapsed); }
  Wall wall() const override { return Wall(std::chrono::seconds(1'800'000'000)) + elapsed; }
  std::chrono::seconds elapsed{100};
};

const std::string kAdmin(40, 'a'), kAlice(40, 'b'), kNew(40, 'n');

std::string entry(const std::string& name, const std::string& role, const std::string& token,
                  const std::string& more = "") {
  return "  - {name: " + name + ", role: " + role + ", sha256: " + sha256_hex(token) + more + "}\n";
}

std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

struct GateTest : ::testing::Test {
  GateTest() {
    write_secret(tokens,
                 "tokens:\n" + entry("alice", "submitter", kAlice) +
                     entry("late", "viewer", std::string(40, 'l'), ", expires: 2027-01-15T09:00:00Z") +
                     "  - {name: node1, role: worker, certificate: node1.example.org}\n");
    ServerFiles files;
    files.tokens = tokens;
    access = open_server_access(files, folder / "state", clock.wall());
    access.token = kAdmin;
    access.files = files;
    audit = std::make_shared<AuditLog>(folder / "audit.jsonl", clock);
    gate.emplace(access, clock, audit);
  }

  Verdict identify(const std::string& token, std::string_view certificate = "") const {
    const std::string value = "Bearer " + token;
    return gate->identify({.authorization = value, .certificate = certificate, .peer = "here"});
  }
  Verdict with_certificate(std::string_view name) const {
    return gate->identify({.authorization = std::nullopt, .certificate = name, .peer = "here"});
  }

  Hands clock;
  testing::TempDir folder;
  std::filesystem::path tokens = folder / "tokens.yaml";
  ServerAccess access;
  std::shared_ptr<AuditLog> audit;
  std::optional<Gate> gate;
};

TEST_F(GateTest, Token_GivesNameAndRole) {
  const Verdict verdict = identify(kAlice);
  EXPECT_TRUE(verdict.is_admitted());
  EXPECT_EQ(verdict.caller.name, "alice");
  EXPECT_EQ(verdict.caller.role, Role::kSubmitter);
  EXPECT_EQ(verdict.caller.peer, "here");
  EXPECT_EQ(identify(kAdmin).caller.name, "admin");
  EXPECT_EQ(identify(kAdmin).caller.role, Role::kAdmin);
}

TEST_F(GateTest, WhatIsNoToken_IsUnauthenticatedAndNotRepeated) {
  for (const std::string& wrong : {std::string(), std::string(40, 'x'), kAlice + "b", sha256_hex(kAlice)}) {
    const Verdict verdict = identify(wrong);
    EXPECT_EQ(verdict.kind, Kind::kUnauthenticated);
    EXPECT_EQ(verdict.text, "the token is not this coordinator's");
  }
  const Verdict other_scheme = gate->identify({.authorization = kAlice, .certificate = "", .peer = ""});
  EXPECT_EQ(other_scheme.kind, Kind::kUnauthenticated);
  EXPECT_THAT(with_certificate("").text, HasSubstr("needs a token"));
}

TEST_F(GateTest, ExpiredToken_IsRefusedFromThatMomentOn) {
  EXPECT_TRUE(identify(std::string(40, 'l')).is_admitted());
  clock.elapsed = std::chrono::hours(1);  // 2027-01-15T09:00:00Z
  const Verdict verdict = identify(std::string(40, 'l'));
  EXPECT_EQ(verdict.kind, Kind::kUnauthenticated);
  EXPECT_EQ(verdict.text, "the token of late has expired (2027-01-15T09:00:00Z)");
}

TEST_F(GateTest, Certificate_GivesNameAndRole_TokenWins) {
  EXPECT_EQ(with_certificate("node1.example.org").caller.role, Role::kWorker);
  EXPECT_THAT(with_certificate("node2.example.org").text, HasSubstr("\"node2.example.org\" is not in"));
  EXPECT_EQ(identify(kAlice, "node1.example.org").caller.name, "alice");
  EXPECT_EQ(identify(std::string(40, 'x'), "node1.example.org").kind, Kind::kUnauthenticated)
      << "a wrong token is not made good by a certificate";
}

TEST_F(GateTest, Admit_SaysWhichRoleIsNeeded) {
  const std::string value = "Bearer " + kAlice;
  const Attempt attempt{.authorization = value, .certificate = "", .peer = "here"};
  EXPECT_TRUE(gate->admit(attempt, "SubmitJob", Need::kSubmitter, true).is_admitted());
  const Verdict denied = gate->admit(attempt, "DrainWorker", Need::kAdmin, true);
  EXPECT_EQ(denied.kind, Kind::kDenied);
  EXPECT_EQ(denied.text, "DrainWorker needs the role admin; alice is a submitter");
  const auto lines = lines_of(folder / "audit.jsonl");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["caller"], "alice");
  EXPECT_EQ(lines[0]["code"], "PermissionDenied");
  EXPECT_EQ(lines[0]["method"], "DrainWorker");
  EXPECT_EQ(lines[0]["peer"], "here");
}

TEST_F(GateTest, StrangersDoNotFillTheAuditLog) {
  const Attempt stranger{.authorization = "Bearer x", .certificate = "", .peer = "there"};
  for (int i = 0; i < 100; ++i) gate->admit(stranger, "CancelJob", Need::kSubmitter, true);
  EXPECT_EQ(lines_of(folder / "audit.jsonl").size(), 1U);
  clock.elapsed += std::chrono::seconds(1);
  gate->admit(stranger, "CancelJob", Need::kSubmitter, true);
  gate->admit(stranger, "GetJob", Need::kViewer, false);
  const auto lines = lines_of(folder / "audit.jsonl");
  ASSERT_EQ(lines.size(), 2U) << "looks are not noted";
  EXPECT_EQ(lines[1]["code"], "Unauthenticated");
  EXPECT_EQ(lines[1]["caller"], "");
}

TEST_F(GateTest, Refresh_TakesUpAChangedFile) {
  change_tokens(tokens, [](TokenTable& table) {
    table.remove("alice");
    table.add({.name = "bob", .role = Role::kViewer, .sha256 = sha256_hex(kNew)});
  });
  EXPECT_TRUE(identify(kAlice).is_admitted()) << "nobody has looked";
  gate->refresh();
  EXPECT_FALSE(identify(kAlice).is_admitted());
  EXPECT_EQ(identify(kNew).caller.name, "bob");
  EXPECT_TRUE(identify(kAdmin).is_admitted());
}

TEST_F(GateTest, Refresh_KeepsWhatWasWhenTheFileIsWrong) {
  write_secret(tokens, "tokens: [{name: alice, role: king}]\n");
  gate->refresh();
  EXPECT_TRUE(identify(kAlice).is_admitted());
  write_secret(tokens, "tokens: []\n");
  gate->refresh();
  EXPECT_FALSE(identify(kAlice).is_admitted());
}

TEST_F(GateTest, Refresh_TakesACertificateOnlyWithItsKey) {
  const auto before = gate->tls();
  const TlsIdentity next = make_identity(clock.wall());
  replace_file(access.files.certificate, next.certificate);
  gate->refresh();
  EXPECT_EQ(gate->tls(), before) << "the key is still the old one's";
  write_secret(access.files.key, next.key);
  gate->refresh();
  EXPECT_EQ(gate->tls()->identity.certificate, next.certificate);
  const auto taken = gate->tls();
  gate->refresh();
  EXPECT_EQ(gate->tls(), taken) << "nothing has changed";
}

// --- the audit log ---

struct AuditTest : ::testing::Test {
  AuditRecord record(const std::string& job) const {
    return {.caller = {.name = "alice", .role = Role::kSubmitter, .peer = "ipv4:10.0.0.3:5"},
            .method = "CancelJob",
            .job = job,
            .code = "OK",
            .request = "grace_seconds: 60",
            .message = ""};
  }
  std::vector<std::string> jobs(const std::string& name) const {
    std::vector<std::string> found;
    for (const auto& line : lines_of(folder / name)) found.push_back(line["job"]);
    return found;
  }
  Hands clock;
  testing::TempDir folder;
};

TEST_F(AuditTest, OneLineAChange_OwnersAlone) {
  AuditLog log(folder / "audit.jsonl", clock);
  log.write(record("j1\n\"}"));
  const auto lines = lines_of(folder / "audit.jsonl");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["time"], "2027-01-15T08:01:40.000Z");
  EXPECT_EQ(lines[0]["job"], "j1\n\"}");
  EXPECT_EQ(lines[0]["role"], "submitter");
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(folder / "audit.jsonl").permissions(),
            perms::owner_read | perms::owner_write);
}

TEST_F(AuditTest, Rotated_GoesOnInANewFile) {
  AuditLog log(folder / "audit.jsonl", clock);
  log.write(record("j1"));
  std::filesystem::rename(folder / "audit.jsonl", folder / "audit.jsonl.1");
  log.write(record("j2"));
  EXPECT_THAT(jobs("audit.jsonl.1"), ElementsAre("j1"));
  EXPECT_THAT(jobs("audit.jsonl"), ElementsAre("j2"));
}

TEST_F(AuditTest, ReopenedByANewProcess_IsContinued) {
  AuditLog(folder / "audit.jsonl", clock).write(record("j1"));
  AuditLog(folder / "audit.jsonl", clock).write(record("j2"));
  EXPECT_THAT(jobs("audit.jsonl"), ElementsAre("j1", "j2"));
}

TEST_F(AuditTest, CarryOut_NotesSuccessAndFailure) {
  AuditLog log(folder / "audit.jsonl", clock);
  const int result = carry_out(&log, record("j1"), [](AuditRecord& note) {
    note.job = "made";
    return 7;
  });
  EXPECT_EQ(result, 7);
  EXPECT_THROW(carry_out(&log, record("j2"),
                         [](AuditRecord&) { throw Error(ErrorCode::kFailedPrecondition, "it has ended"); }),
               Error);
  AuditRecord viewer = record("j3");
  viewer.caller.role = Role::kViewer;
  EXPECT_THROW(carry_out(&log, viewer, [](AuditRecord&) { FAIL() << "a viewer changes something"; }), Error);
  const auto lines = lines_of(folder / "audit.jsonl");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0]["job"], "made");
  EXPECT_EQ(lines[1]["code"], "FailedPrecondition");
  EXPECT_EQ(lines[1]["message"], "it has ended");
  EXPECT_EQ(lines[2]["code"], "PermissionDenied");
}

TEST_F(AuditTest, Unwritable_NothingIsChangedUntilItRecovers) {
  AuditLog log(folder / "audit.jsonl", clock);
  std::filesystem::remove(folder / "audit.jsonl");
  std::filesystem::create_directory(folder / "audit.jsonl");
  bool changed = false;
  const auto change = [&](AuditRecord&) { changed = true; };
  try {
    carry_out(&log, record("j1"), change);
    FAIL() << "it was carried out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("audit.jsonl"), HasSubstr("nothing may be changed")));
  }
  EXPECT_FALSE(changed);
  std::filesystem::remove(folder / "audit.jsonl");
  carry_out(&log, record("j2"), change);
  EXPECT_TRUE(changed);
  EXPECT_THAT(jobs("audit.jsonl"), ElementsAre("j2"));
}

// --- the table ---

TEST(Methods, RolesSuffice) {
  const std::vector<Need> needs = {Need::kKnown, Need::kWorker, Need::kViewer, Need::kSubmitter,
                                   Need::kAdmin};
  const auto allowed = [&](Role role) {
    std::string text;
    for (const Need need : needs) text += suffices(role, need) ? '1' : '0';
    return text;
  };
  EXPECT_EQ(allowed(Role::kViewer), "10100");
  EXPECT_EQ(allowed(Role::kSubmitter), "10110");
  EXPECT_EQ(allowed(Role::kAdmin), "11111");
  EXPECT_EQ(allowed(Role::kWorker), "11000");
}

TEST(Methods, WhatIsNotInTheTable_NeedsTheAdmin) {
  EXPECT_EQ(grpc_method("/no.such/Method").need, Need::kAdmin);
  EXPECT_EQ(need_of_change("NoSuchChange"), Need::kAdmin);
  EXPECT_EQ(http_route("POST", "/v1/unknown").need, Need::kAdmin);
  EXPECT_EQ(http_route("GET", "/v1/unknown").need, Need::kViewer);
}

TEST(Methods, HttpPatterns) {
  EXPECT_EQ(http_route("GET", "/").need, Need::kNothing);
  EXPECT_EQ(http_route("HEAD", "/dashboard/app.js").need, Need::kNothing);
  EXPECT_EQ(http_route("GET", "/v1/jobs/abc").need, Need::kViewer);
  EXPECT_EQ(http_route("DELETE", "/v1/jobs/abc").need, Need::kSubmitter);
  EXPECT_EQ(http_route("POST", "/v1/jobs/abc/cancel").need, Need::kSubmitter);
  EXPECT_EQ(http_route("POST", "/v1/workers/w/drain").need, Need::kAdmin);
  EXPECT_EQ(http_route("GET", "/healthz/x").need, Need::kViewer);
  EXPECT_EQ(http_route("POST", "/").need, Need::kAdmin);
}

}  // namespace
}  // namespace mdgen::access
