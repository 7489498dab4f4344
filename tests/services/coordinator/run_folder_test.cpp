#include "services/coordinator/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/config/spec.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/log_cursor.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;

v1::JobSpec spec_in(const fs::path& root, const std::string& name, const std::string& resume = "auto") {
  v1::JobSpec spec;
  spec.set_name(name);
  spec.set_work_dir(root.string());
  spec.set_resume(resume);
  return spec;
}

void touch(const fs::path& file, const std::string& text = "x") {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

TEST(RunFolder, ANewOneHasNothing) {
  testing::TempDir root;
  const FolderFacts facts = inspect_run_folder(spec_in(root.path(), "run"), {});
  EXPECT_EQ(facts.folder, fs::canonical(root.path()) / "run");
  EXPECT_FALSE(facts.used);
  EXPECT_FALSE(facts.has_checkpoints);
}

TEST(RunFolder, KnowsWhatAnEarlierJobLeft) {
  testing::TempDir root;
  fs::create_directories(root / "run/checkpoints/step-000000100-g0003");
  fs::create_directories(root / "run/checkpoints/.tmp-g0009-step-000000200-g0009-abcdefgh");
  touch(root / "run/logs/rank-0.attempt-2.log");
  touch(root / "run/logs/rank-1.attempt-5.log");
  const FolderFacts facts = inspect_run_folder(spec_in(root.path(), "run"), {});
  EXPECT_TRUE(facts.used);
  EXPECT_TRUE(facts.has_checkpoints);
  EXPECT_EQ(facts.last_generation, 9) << "it began to write";
  EXPECT_EQ(facts.last_attempt, 5);
}

TEST(RunFolder, MustBeANameBelowTheRoots) {
  testing::TempDir root;
  testing::TempDir other;
  for (const char* name : {"", ".", "..", "a/b", "../x"})
    EXPECT_THROW(inspect_run_folder(spec_in(root.path(), name), {}), Error) << name;
  EXPECT_NO_THROW(inspect_run_folder(spec_in(root.path(), "run"), {{other.path(), root.path()}, {}}));
  EXPECT_THROW(inspect_run_folder(spec_in(root.path(), "run"), {{other.path()}, {}}), Error);
  EXPECT_THROW(inspect_run_folder(spec_in(root.path().string() + "/x/../..", "run"), {{root.path()}, {}}),
               Error);
  fs::create_directory_symlink(other.path(), root / "link");
  EXPECT_THROW(inspect_run_folder(spec_in(root / "link", "run"), {{root.path()}, {}}), Error);
  EXPECT_THROW(inspect_run_folder(spec_in("relative", "run"), {}), Error);
}

// The field that is refused; empty: none.
std::string refused(const v1::JobSpec& spec, const Roots& roots) {
  try {
    inspect_run_folder(spec, roots);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    const std::string text = error.what();
    return text.substr(0, text.find(':'));
  }
}

TEST(RunFolder, WhatASpecNames_LiesBelowTheRoots_LinksFollowed) {
  testing::TempDir runs, data, other;
  const Roots roots{{runs.path()}, {data.path()}};
  v1::JobSpec good = spec_in(runs.path(), "run");
  good.mutable_data()->set_data_dir(data / "new/data");
  good.mutable_data()->set_train_split(data / "train.csv");
  good.mutable_checkpoint()->set_ckpt(runs / "earlier/checkpoints/step-1");
  good.mutable_logging()->set_teaching_ipa(runs / "ipa");
  EXPECT_EQ(refused(good, roots), "");

  fs::create_directory_symlink(other.path(), data / "link");
  fs::create_directory_symlink(data.path(), data / "inside");
  const auto with = [&](auto set) {
    v1::JobSpec spec = good;
    set(spec);
    return refused(spec, roots);
  };
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_data_dir(data / "inside/data"); }), "");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_data_dir(other.path()); }), "data.data_dir");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_data_dir(data / "link/data"); }),
            "data.data_dir");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_data_dir(data.path().string() + "x"); }),
            "data.data_dir")
      << "a root's name at the beginning is not enough";
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_train_split("/etc/passwd"); }),
            "data.train_split");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_data()->set_val_split(data / "a/../../b"); }),
            "data.val_split");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_checkpoint()->set_ckpt(other / "x.ckpt"); }),
            "checkpoint.ckpt");
  EXPECT_EQ(with([&](auto& spec) { spec.mutable_logging()->set_teaching_ipa(data / "ipa"); }),
            "logging.teaching_ipa")
      << "data are for reading";
}

TEST(RunFolder, ItsFoldersLeadNowhereElse) {
  testing::TempDir runs, other;
  const Roots roots{{runs.path()}, {}};
  fs::create_directories(runs / "run");
  EXPECT_EQ(refused(spec_in(runs.path(), "run"), roots), "");
  fs::create_directory_symlink(other.path(), runs / "run/logs");
  EXPECT_EQ(refused(spec_in(runs.path(), "run"), roots), "work_dir");
  EXPECT_EQ(refused(spec_in(runs.path(), "run"), {}), "") << "no roots, no bounds";
}

TEST(RunFolder, GetsTheResolvedSpec) {
  testing::TempDir root;
  v1::JobSpec spec = spec_in(root.path(), "run");
  spec.set_seed(99);
  prepare_run_folder(root / "run", spec);
  EXPECT_EQ(config::parse_yaml(read_file(root / "run/spec.yaml"), "spec.yaml").SerializeAsString(),
            spec.SerializeAsString());
  EXPECT_TRUE(fs::is_directory(root / "run/logs"));
  touch(root / "file");
  EXPECT_THROW(prepare_run_folder(root / "file/run", spec), Error);
}

// --- who may have a folder ---

struct Owners {
  std::string code(const v1::JobSpec& spec, bool checkpoints, bool used = true) {
    FolderFacts facts;
    facts.folder = "/runs/" + spec.name();
    facts.has_checkpoints = checkpoints;
    facts.used = used || checkpoints;
    try {
      engine.check_folder(spec, facts);
      return "OK";
    } catch (const Error& error) {
      text = error.what();
      return error_code_name(error.code());
    }
  }
  std::string submit(const std::string& name) {
    FolderFacts facts;
    facts.folder = "/runs/" + name;
    return engine.submit(Now{}, spec_in("/runs", name), "", facts).id();
  }
  Engine engine{EngineOptions{}, 1, {}, Now{}};
  std::string text;
};

TEST(RunFolderOwner, ALiveJobKeepsItsFolder) {
  Owners owners;
  const std::string id = owners.submit("run");
  for (const char* resume : {"auto", "require", "fresh"}) {
    EXPECT_EQ(owners.code(spec_in("/runs", "run", resume), true), "AlreadyExists") << resume;
    EXPECT_THAT(owners.text, HasSubstr(id));
  }
}

TEST(RunFolderOwner, AnEndedJobsFolderIsContinuedOnRequest) {
  Owners owners;
  const std::string id = owners.submit("run");
  owners.engine.cancel(Now{}, id, std::chrono::seconds(0));
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "require"), true), "OK");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "auto"), true), "AlreadyExists");
  EXPECT_THAT(owners.text, HasSubstr(id));
  EXPECT_THAT(owners.text, HasSubstr("resume: require"));
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "fresh"), true), "AlreadyExists");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "auto"), false, false), "OK") << "it left nothing to lose";
}

TEST(RunFolderOwner, AnEndedJobsFolderIsValidatedWithoutAWord) {
  Owners owners;
  const std::string id = owners.submit("run");
  v1::JobSpec spec = spec_in("/runs", "run", "auto");
  spec.mutable_loop()->set_validate(true);
  EXPECT_EQ(owners.code(spec, true), "AlreadyExists") << "its job is alive";
  owners.engine.cancel(Now{}, id, std::chrono::seconds(0));
  EXPECT_EQ(owners.code(spec, true), "OK");
}

TEST(RunFolderOwner, ANobodysFolderIsAdopted) {
  Owners owners;
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "auto"), true), "OK");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "require"), true), "OK");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "require"), false), "FailedPrecondition");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "fresh"), false), "AlreadyExists");
  EXPECT_EQ(owners.code(spec_in("/runs", "run", "fresh"), false, false), "OK");
}

// --- logs ---

struct Logs {
  std::string read(v1::StreamLogsRequest request) {
    LogCursor cursor(request, [&] { return LogRange{folder.path(), first, last, ended}; });
    std::string text;
    while (auto piece = cursor.next()) {
      text += piece->text();
      next_offset = piece->next_offset();
    }
    exhausted = cursor.exhausted();
    return text;
  }
  testing::TempDir folder;
  int first = 1, last = 99;
  bool ended = true;
  bool exhausted = false;
  std::int64_t next_offset = 0;
};

TEST(LogCursor, ReadsTheAttemptsAsOneText) {
  Logs logs;
  touch(logs.folder / "logs/rank-0.attempt-1.log", "old\n");
  touch(logs.folder / "logs/rank-0.attempt-2.log", "one\n");
  touch(logs.folder / "logs/rank-0.attempt-10.log", "two\n");
  touch(logs.folder / "logs/rank-1.attempt-2.log", "another rank\n");
  logs.first = 2;
  v1::StreamLogsRequest request;
  EXPECT_EQ(logs.read(request), "one\ntwo\n");
  EXPECT_TRUE(logs.exhausted);
  EXPECT_EQ(logs.next_offset, 8);
  request.set_offset(6);
  EXPECT_EQ(logs.read(request), "o\n");
  request.set_offset(1);
  request.set_attempt(2);
  EXPECT_EQ(logs.read(request), "ne\n");
}

TEST(LogCursor, ReadsLongLogsInPieces) {
  Logs logs;
  const std::string text(3 * LogCursor::kPiece + 5, 'x');
  touch(logs.folder / "logs/rank-0.attempt-1.log", text);
  EXPECT_EQ(logs.read({}), text);
}

TEST(LogCursor, NeverCutsACharacter) {
  Logs logs;
  logs.ended = false;
  touch(logs.folder / "logs/rank-0.attempt-1.log", "a\xC3");
  EXPECT_EQ(logs.read({}), "a");
  EXPECT_EQ(logs.next_offset, 1);
  EXPECT_FALSE(logs.exhausted);
  logs.ended = true;
  EXPECT_EQ(logs.read({}), "a?") << "nothing more will come";
}

TEST(LogCursor, AnEndedJobWithoutTheLogIsAnError) {
  Logs logs;
  EXPECT_THROW(logs.read({}), Error);
  logs.ended = false;
  EXPECT_EQ(logs.read({}), "");
  v1::StreamLogsRequest negative;
  negative.set_offset(-1);
  EXPECT_THROW(logs.read(negative), Error);
}

}  // namespace
}  // namespace mdgen::coordinator
