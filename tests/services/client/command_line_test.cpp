#include "services/client/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/config/json.h"
#include "core/config/schema.h"
#include "core/config/spec.h"
#include "fake_world.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::string> kReferenceFlags = {
    "--sim_condition", "--train_split", "S", "--val_split", "V", "--data_dir", "D", "--num_frames", "250",
    "--prepend_ipa"};

std::vector<std::string> with_flags(std::vector<std::string> arguments, std::vector<std::string> more = {}) {
  arguments.push_back("--");
  arguments.insert(arguments.end(), kReferenceFlags.begin(), kReferenceFlags.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

struct CommandLine : ::testing::Test {
  FakeWorld fake;
  std::vector<v1::JobSpec> submitted;
  std::vector<std::string> request_ids;

  CommandLine() {
    fake.api.on_submit = [this](const v1::JobSpec& spec, const std::string& request_id) {
      submitted.push_back(spec);
      request_ids.push_back(request_id);
      return job_in(v1::JOB_STATE_VALIDATING);
    };
    fake.api.on_get = [](const std::string&) { return job_in(v1::JOB_STATE_SUCCEEDED, 200); };
  }
};

TEST_F(CommandLine, SubmitPrintsTheIdAloneOnItsFirstLine) {
  EXPECT_EQ(fake.run(with_flags({"submit"}, {"--run_name", "R"})), 0);
  EXPECT_EQ(fake.out.str(), "j1\n");
  EXPECT_EQ(fake.err.str(), "");
  ASSERT_EQ(submitted.size(), 1U);
  EXPECT_EQ(submitted[0].name(), "R");
  EXPECT_EQ(submitted[0].data().train_split(), "/home/u/S");
  EXPECT_EQ(submitted[0].data().num_frames(), 250);
  EXPECT_NO_THROW(config::check(submitted[0]));
  EXPECT_EQ(fake.connected.address, "127.0.0.1:7");
}

TEST_F(CommandLine, WhatCouldBeNextIsToldOnATerminalAlone) {
  fake.terminal = {80, 24};
  EXPECT_EQ(fake.run(with_flags({"submit"})), 0);
  EXPECT_EQ(fake.out.str(), "j1\n");
  EXPECT_EQ(fake.err.str(), "next: mdgenctl watch j1 | mdgenctl logs j1 -f | mdgenctl cancel j1\n");
  fake.err.str("");
  EXPECT_EQ(fake.run(with_flags({"submit", "--quiet"})), 0);
  EXPECT_EQ(fake.run(with_flags({"submit", "-o", "json"})), 0);
  EXPECT_EQ(fake.err.str(), "");
  EXPECT_EQ(fake.run({"status", "j1", "--address", "h:9"}), 0);
  EXPECT_THAT(fake.err.str(), StartsWith("next: mdgenctl --address h:9 metrics j1 | "));
}

TEST_F(CommandLine, SubmitAsJsonAndYaml) {
  EXPECT_EQ(fake.run(with_flags({"submit", "-o", "json", "--address", "h:9"})), 0);
  EXPECT_EQ(fake.out.str(), "{\"id\":\"j1\"}\n");
  EXPECT_EQ(fake.connected.address, "h:9");
  fake.out.str("");
  EXPECT_EQ(fake.run(with_flags({"-o", "yaml", "submit"})), 0);
  EXPECT_EQ(fake.out.str(), "id: \"j1\"\n");
}

TEST_F(CommandLine, SubmitTakesFileThenFlagsThenSet) {
  testing::TempDir dir;
  write_file_synced(dir / "job.yaml", "name: a\nseed: 1\noptim: {lr: 0.5, batch_size: 3}\n");
  fake.world.current_folder = dir.path();
  const auto arguments =
      with_flags({"submit", "-f", "job.yaml", "--set", "seed=3", "--set", "optim.lr=0.125"},
                 {"--seed", "2", "--batch_size", "4"});
  EXPECT_EQ(fake.run(arguments), 0) << fake.err.str();
  ASSERT_EQ(submitted.size(), 1U);
  EXPECT_EQ(submitted[0].name(), "a");
  EXPECT_EQ(submitted[0].seed(), 3U);
  EXPECT_EQ(submitted[0].optim().lr(), 0.125);
  EXPECT_EQ(submitted[0].optim().batch_size(), 4);
  EXPECT_EQ(submitted[0].data().data_dir(), (dir / "D").string());
}

TEST_F(CommandLine, SubmitReadsStandardInput) {
  fake.in.str("data: {train_split: s, val_split: v, data_dir: d}\nseed: 8\n");
  EXPECT_EQ(fake.run({"submit", "-f", "-"}), 0) << fake.err.str();
  EXPECT_EQ(submitted.at(0).seed(), 8U);
}

TEST_F(CommandLine, DryRunSubmitsNothingAndItsOutputIsASpec) {
  for (const std::string output : {"table", "json", "yaml"}) {
    fake.out.str("");
    EXPECT_EQ(fake.run(with_flags({"submit", "--dry-run", "-o", output}, {"--no_pad"})), 0);
    const v1::JobSpec spec = config::parse_yaml(fake.out.str(), "t");
    EXPECT_EQ(spec.data().num_frames(), 250) << output;
    EXPECT_NO_THROW(config::check(spec)) << output;
  }
  EXPECT_THAT(fake.err.str(), HasSubstr("warning: data.no_pad has no effect"));
  EXPECT_TRUE(submitted.empty());
  EXPECT_EQ(fake.connected.address, "");
}

TEST_F(CommandLine, AWrongSpecIsUsageAndSubmitsNothing) {
  EXPECT_EQ(fake.run(with_flags({"submit"}, {"--num_frame", "3"})), 2);
  EXPECT_THAT(fake.err.str(), AllOf(StartsWith("mdgenctl: "), HasSubstr("did you mean \"--num_frames\"?")));
  EXPECT_EQ(fake.run({"submit"}), 2);
  EXPECT_EQ(fake.run({"submit", "-f", "/absent/job.yaml"}), 2);
  EXPECT_EQ(fake.run(with_flags({"submit"}, {"--precision", "8-bit"})), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("optim.precision cannot be \"8-bit\""));
  EXPECT_EQ(fake.run(with_flags({"validate"}, {"--crop", "abc"})), 2);
  EXPECT_TRUE(submitted.empty());
  EXPECT_EQ(fake.connected.address, "");
}

TEST_F(CommandLine, ALostAnswerIsAskedForAgainWithTheSameRequest) {
  fake.api.on_submit = [this](const v1::JobSpec&, const std::string& request_id) {
    request_ids.push_back(request_id);
    if (request_ids.size() == 1) throw lost();
    return job_in(v1::JOB_STATE_VALIDATING);
  };
  EXPECT_EQ(fake.run(with_flags({"submit"})), 0);
  ASSERT_EQ(request_ids.size(), 2U);
  EXPECT_EQ(request_ids[0], request_ids[1]);
  EXPECT_EQ(request_ids[0].size(), 36U);

  request_ids.clear();
  fake.api.on_submit = [this](const v1::JobSpec&, const std::string& request_id) -> v1::Job {
    request_ids.push_back(request_id);
    throw lost();
  };
  EXPECT_EQ(fake.run(with_flags({"submit"})), 4);
  EXPECT_EQ(request_ids.size(), 2U);
}

TEST_F(CommandLine, AServersRefusalIsNotRepeated) {
  int calls = 0;
  fake.api.on_submit = [&](const v1::JobSpec&, const std::string&) -> v1::Job {
    ++calls;
    throw Error(ErrorCode::kAlreadyExists, "run folder /r belongs to job x");
  };
  EXPECT_EQ(fake.run(with_flags({"submit"})), 1);
  EXPECT_EQ(fake.err.str(), "mdgenctl: run folder /r belongs to job x\n");
  EXPECT_EQ(fake.run(with_flags({"submit", "--follow"})), 2);
  EXPECT_EQ(calls, 2);
}

TEST_F(CommandLine, FollowEndsWithTheJobsOutcome) {
  const std::vector<std::pair<v1::JobState, int>> outcomes = {
      {v1::JOB_STATE_SUCCEEDED, 0}, {v1::JOB_STATE_FAILED, 1}, {v1::JOB_STATE_CANCELLED, 3}};
  for (const auto& [state, code] : outcomes) {
    fake.out.str("");
    fake.api.on_get = [state = state](const std::string&) { return job_in(state, 7); };
    EXPECT_EQ(fake.run(with_flags({"submit", "--follow"})), code);
    EXPECT_THAT(fake.out.str(), StartsWith("j1\n"));
    EXPECT_EQ(fake.run({"watch", "j1"}), code);
  }
  fake.api.on_get = [](const std::string&) -> v1::Job { throw lost(); };
  EXPECT_EQ(fake.run(with_flags({"submit", "--follow"})), 4);
  EXPECT_EQ(fake.run({"watch", "j1"}), 4);
  fake.api.on_get = [](const std::string&) -> v1::Job { throw Error(ErrorCode::kNotFound, "no job j1"); };
  EXPECT_EQ(fake.run({"watch", "j1"}), 2);
}

TEST_F(CommandLine, FollowOnATerminalWritesOverItsLine) {
  fake.terminal = {80, 24};
  EXPECT_EQ(fake.run({"watch", "j1", "--color", "never"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("\r\x1b[KSUCCEEDED  [==================] 100%  step 200/200"));
}

TEST_F(CommandLine, FollowAsJsonEndsWithTheJob) {
  EXPECT_EQ(fake.run(with_flags({"submit", "--follow", "-o", "json"})), 0);
  std::istringstream lines(fake.out.str());
  std::string id, job;
  std::getline(lines, id);
  std::getline(lines, job);
  EXPECT_EQ(id, "{\"id\":\"j1\"}");
  EXPECT_EQ(config::Json::parse(job)["state"], "SUCCEEDED");
  EXPECT_THAT(fake.err.str(), HasSubstr("step 200/200"));
}

TEST_F(CommandLine, StatusAndErrors) {
  EXPECT_EQ(fake.run({"status", "j1", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["step"], 200);
  fake.out.str("");
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("state         SUCCEEDED"));
  fake.api.on_get = [](const std::string&) -> v1::Job { throw Error(ErrorCode::kNotFound, "no job j2"); };
  EXPECT_EQ(fake.run({"status", "j2"}), 1);
  fake.api.on_get = [](const std::string&) -> v1::Job { throw lost(); };
  EXPECT_EQ(fake.run({"status", "j2"}), 4);
}

TEST_F(CommandLine, ListReadsEveryPage) {
  std::vector<int> sizes;
  fake.api.on_list = [&](const v1::ListJobsRequest& request) {
    sizes.push_back(request.page_size());
    v1::ListJobsResponse page;
    page.add_jobs()->set_id(request.page_token() + "a");
    if (request.page_token() != "tt") page.set_next_page_token(request.page_token() + "t");
    return page;
  };
  EXPECT_EQ(fake.run({"list", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["jobs"].size(), 3U);
  EXPECT_THAT(sizes, ::testing::ElementsAre(100, 99, 98));
  sizes.clear();
  EXPECT_EQ(fake.run({"list", "--limit", "2"}), 0);
  EXPECT_THAT(sizes, ::testing::ElementsAre(2, 1));
  EXPECT_THAT(fake.err.str(), HasSubstr("older jobs are left out"));
}

TEST_F(CommandLine, CancelPassesTheGrace) {
  std::vector<std::optional<int>> graces;
  fake.api.on_cancel = [&](const std::string&, std::optional<int> grace) {
    graces.push_back(grace);
    return job_in(v1::JOB_STATE_CANCELLING);
  };
  EXPECT_EQ(fake.run({"cancel", "j1"}), 0);
  EXPECT_EQ(fake.run({"cancel", "j1", "--grace", "0"}), 0);
  EXPECT_EQ(fake.out.str(), "j1 CANCELLING\nj1 CANCELLING\n");
  EXPECT_EQ(graces.at(0), std::nullopt);
  EXPECT_EQ(graces.at(1), 0);
  EXPECT_EQ(fake.run({"cancel", "j1", "--grace", "-1"}), 2);
}

TEST_F(CommandLine, LogsGoOnWhereTheyBrokeOff) {
  std::vector<std::int64_t> offsets;
  fake.api.on_logs = [&](const v1::StreamLogsRequest& request, const auto& take) {
    offsets.push_back(request.offset());
    EXPECT_EQ(request.rank(), 1);
    if (offsets.size() == 2) throw lost();
    v1::StreamLogsResponse piece;
    piece.set_text(offsets.size() == 1 ? "one\n" : "two\n");
    piece.set_next_offset(request.offset() + 4);
    take(piece);
    if (offsets.size() == 1) throw lost();
  };
  EXPECT_EQ(fake.run({"logs", "j1", "-f", "--rank", "1"}), 0);
  EXPECT_EQ(fake.out.str(), "one\ntwo\n");
  EXPECT_THAT(offsets, ::testing::ElementsAre(0, 4, 4));

  offsets.clear();
  EXPECT_EQ(fake.run({"logs", "j1", "--rank", "1"}), 4) << "without -f a broken stream is an error";
}

TEST_F(CommandLine, LogsEndWhenNobodyReads) {
  bool went_on = true;
  fake.api.on_logs = [&](const v1::StreamLogsRequest&, const auto& take) {
    fake.out.setstate(std::ios::badbit);
    went_on = take(v1::StreamLogsResponse());
  };
  EXPECT_EQ(fake.run({"logs", "j1", "-f"}), 0);
  EXPECT_FALSE(went_on);
}

TEST_F(CommandLine, InitWritesASpecThatNeedsOnlyWhatIsRequired) {
  testing::TempDir dir;
  fake.world.current_folder = dir.path();
  EXPECT_EQ(fake.run({"init"}), 0);
  EXPECT_EQ(fake.out.str(), "job.yaml\n");
  EXPECT_EQ(fake.run({"init"}), 2) << "an existing file was overwritten";
  EXPECT_EQ(fake.run({"validate", "-f", "job.yaml"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("data.train_split"));
  std::string text = read_file(dir / "job.yaml");
  for (std::size_t at = text.find("\"\""); at != std::string::npos; at = text.find("\"\""))
    text.replace(at, 2, "x");
  write_file_synced(dir / "filled.yaml", text);
  EXPECT_EQ(fake.run({"validate", "-f", "filled.yaml"}), 0) << fake.err.str();
  // Every line that is commented out is a valid one. A help text may hold a colon too.
  std::string uncommented, group;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == ':' && line.find_first_of(" #") == line.npos)
      group = line.substr(0, line.size() - 1) + ".";
    const std::size_t hash = line.find("# ");
    const std::size_t colon = line.find(": ", hash == std::string::npos ? 0 : hash);
    if (hash != std::string::npos && colon != std::string::npos) {
      const config::Field* field =
          config::Schema::get().by_key((hash == 0 ? "" : group) + line.substr(hash + 2, colon - hash - 2));
      if (field != nullptr && config::parse_value(*field, line.substr(colon + 2))) line.erase(hash, 2);
    }
    uncommented += line + "\n";
  }
  write_file_synced(dir / "all.yaml", uncommented);
  EXPECT_EQ(fake.run({"validate", "-f", "all.yaml"}), 0) << fake.err.str();
  EXPECT_THAT(uncommented, HasSubstr("\nseed: 137\n"));
}

TEST_F(CommandLine, UsageErrors) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"bogus"},
                                             {"status"},
                                             {"status", "a", "b"},
                                             {"list", "--bogus"},
                                             {"status", "a", "-o", "xml"},
                                             {"list", "--", "--atlas"},
                                             {"logs", "a", "--rank", "x"},
                                             {"watch", "a", "--reconnect-for", "-1"},
                                             {"status", "a", "--address", "nowhere"},
                                             {"list", "--limit", "0"}}) {
    fake.err.str("");
    EXPECT_EQ(fake.run(arguments), 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(fake.err.str(), StartsWith("mdgenctl: ")) << ::testing::PrintToString(arguments);
    EXPECT_EQ(fake.err.str().find('\n'), fake.err.str().size() - 1) << fake.err.str();
  }
  fake.variables.clear();
  EXPECT_EQ(fake.run({"list"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("MDGEN_ADDRESS"));
  EXPECT_EQ(fake.out.str(), "");
}

TEST_F(CommandLine, HelpAndVersion) {
  EXPECT_EQ(fake.run({"--help"}), 0);
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("submit"), HasSubstr("75 come again")));
  fake.out.str("");
  EXPECT_EQ(fake.run({"--version"}), 0);
  EXPECT_EQ(fake.run({"version"}), 0);
  const std::string twice = fake.out.str();
  EXPECT_EQ(twice.substr(0, twice.size() / 2), twice.substr(twice.size() / 2));
  fake.out.str("");
  EXPECT_EQ(fake.run({"spec"}), 0);
  EXPECT_EQ(fake.out.str(), config::flags_help());
}

}  // namespace
}  // namespace mdgen::client
