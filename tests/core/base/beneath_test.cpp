// Links that lead out of a folder.
#include "core/base/beneath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& folder, const fs::path& relative) {
  const OpenFile file = open_beneath(folder, relative);
  std::string text(100, ' ');
  text.resize(static_cast<std::size_t>(::pread(file.descriptor(), text.data(), text.size(), 0)));
  return text;
}

ErrorCode code_of(const fs::path& folder, const fs::path& relative) {
  try {
    open_beneath(folder, relative);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << relative << " was opened";
  return ErrorCode::kInternal;
}

struct Beneath : ::testing::Test {
  Beneath() {
    fs::create_directories(folder / "run/logs");
    write_file_synced(folder / "run/logs/a", "inside");
    write_file_synced(folder / "secret", "outside");
  }
  testing::TempDir folder;
  fs::path run = folder / "run";
};

TEST_F(Beneath, FilesAndLinksWithin_AreOpened) {
  EXPECT_EQ(text_of(run, "logs/a"), "inside");
  fs::create_symlink("a", run / "logs/newest");
  fs::create_directory_symlink("logs", run / "same");
  EXPECT_EQ(text_of(run, "same/newest"), "inside");
}

TEST_F(Beneath, WaysOut_AreRefused) {
  fs::create_symlink("../../secret", run / "logs/relative");
  fs::create_symlink(folder / "secret", run / "logs/absolute");
  fs::create_directory_symlink("..", run / "up");
  for (const char* way : {"logs/relative", "logs/absolute", "up/secret", "../secret", "logs/../../secret"})
    EXPECT_EQ(code_of(run, way), ErrorCode::kPermissionDenied) << way;
  EXPECT_EQ(code_of(run, folder / "secret"), ErrorCode::kPermissionDenied);
}

TEST_F(Beneath, WhatIsNoRegularFile_IsRefusedAtOnce) {
  ASSERT_EQ(::mkfifo((run / "pipe").c_str(), 0600), 0);
  for (const char* name : {"pipe", "logs", "absent", "absent/absent"})
    EXPECT_EQ(code_of(run, name), ErrorCode::kNotFound) << name;
  EXPECT_EQ(code_of(folder / "absent", "a"), ErrorCode::kNotFound);
}

TEST_F(Beneath, IsBeneath_ComparesNamesNotLetters) {
  EXPECT_TRUE(is_beneath(run / "new/x", run));
  EXPECT_TRUE(is_beneath(run, run));
  EXPECT_TRUE(is_beneath(run, run.string() + "/"));
  EXPECT_FALSE(is_beneath(folder / "runs", run));
  EXPECT_FALSE(is_beneath(run / "..", run));
  fs::create_directory_symlink("..", run / "up");
  EXPECT_FALSE(is_beneath(run / "up/x", run));
}

}  // namespace
}  // namespace mdgen
