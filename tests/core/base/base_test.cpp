#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <set>

#include "core/base/command_line.h"
#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/philox.h"
#include "core/base/text.h"
#include "tests/support/temp_dir.h"

namespace mdgen {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_THAT(philox4x32({0, 0, 0, 0}, {0, 0}), ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_THAT(philox4x32({ones, ones, ones, ones}, {ones, ones}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Uniform, EndsOfTheRange) {
  EXPECT_EQ(uniform_float(0), 0.0F);
  EXPECT_LT(uniform_float(0xffffffff), 1.0F);
  EXPECT_LT(uniform_double(0xffffffff, 0xffffffff), 1.0);
  EXPECT_EQ(uniform_below(0xffffffff, 0xffffffff, 7), 6U);
  EXPECT_EQ(uniform_below(0, 0, 7), 0U);
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, FileEqualsBytes) {
  testing::TempDir dir;
  const std::string bytes(3'000'000, 'x');
  write_file_synced(dir / "f", bytes);
  EXPECT_EQ(sha256_file(dir / "f"), sha256_hex(bytes));
  EXPECT_THROW(sha256_file(dir / "absent"), Error);
}

TEST(Files, WriteSyncedRefusesAnExistingFile) {
  testing::TempDir dir;
  write_file_synced(dir / "f", "one");
  try {
    write_file_synced(dir / "f", "two");
    FAIL() << "the file was overwritten";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kAlreadyExists);
    EXPECT_THAT(error.what(), ::testing::HasSubstr((dir / "f").string()));
  }
  EXPECT_EQ(read_file(dir / "f"), "one");
}

TEST(Files, ReadError_IsNoEmptyFile) {
  testing::TempDir dir;
  try {
    (void)read_file(dir.path());
    FAIL() << "a folder was read";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(dir.path().string() + ": Is a directory"));
  }
  write_file_synced(dir / "empty", "");
  EXPECT_EQ(read_file(dir / "empty"), "");
  const std::string long_text(200'001, 'x');
  write_file_synced(dir / "long", long_text);
  EXPECT_EQ(read_file(dir / "long"), long_text);
}

TEST(Files, ReplaceLeavesNoTemporary) {
  testing::TempDir dir;
  replace_file(dir / "f", "one");
  replace_file(dir / "f", "two");
  EXPECT_EQ(read_file(dir / "f"), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(Identity, FormAndUniqueness) {
  EXPECT_THAT(make_uuid(),
              MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(make_short_id());
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(NearestName, FindsTypingErrorsOnly) {
  const std::vector<std::string> names = {"num_frames", "num_layers", "crop"};
  EXPECT_EQ(nearest_name("num_frame", names), "num_frames");
  EXPECT_EQ(nearest_name("cropp", names), "crop");
  EXPECT_EQ(nearest_name("entirely_else", names), "");
}

struct CommandLine : ::testing::Test {
  CLI::App app{"what it does"};
  std::string folder;
  CommandLine() {
    app.add_option("--folder", folder)->required();
    app.set_version_flag("--version", "1.2.3");
  }
  std::optional<int> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "program");
    return parse_command_line(app, static_cast<int>(words.size()), words.data());
  }
};

TEST_F(CommandLine, GoesOnWhenAllIsGiven) {
  EXPECT_EQ(parse({"--folder", "f"}), std::nullopt);
  EXPECT_EQ(folder, "f");
}

TEST_F(CommandLine, NamesAnUnknownArgumentBeforeWhatIsMissing) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(parse({"--foldr=f"}), kExitUsage);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("unknown argument --foldr=f; did you mean --folder?"));
}

TEST_F(CommandLine, NamesWhatIsMissing) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(parse({}), kExitUsage);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("--folder is required"));
}

TEST_F(CommandLine, VersionIsASuccess) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(parse({"--version"}), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "1.2.3\n");
}

TEST(Text, SplitJoinTrim) {
  EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_EQ(join(split("a,b,,c", ','), ","), "a,b,,c");
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
}

TEST(Text, Utf8_ForeignBytesAreReplacedAndCharactersNotCut) {
  EXPECT_EQ(to_utf8("\xC3\xA9\xFF\xED\xA0\x80z"), "\xC3\xA9????z");
  EXPECT_EQ(whole_characters("ab\xE2\x82"), 2U);
  EXPECT_EQ(whole_characters("ab\xE2\x82\xAC"), 5U);
}

}  // namespace
}  // namespace mdgen
