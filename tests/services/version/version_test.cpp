#include "services/version/version.h"

#include <gmock/gmock.h>

namespace mdgen::version {
namespace {

using testing::HasSubstr;

TEST(ParseVersion, TakesThreeNumbersAndWhatFollowsThem) {
  EXPECT_EQ(parse_version("0.2.0"), (Version{0, 2, 0}));
  EXPECT_EQ(parse_version("12.34.56"), (Version{12, 34, 56}));
  EXPECT_EQ(parse_version("1.2.3-rc1"), (Version{1, 2, 3}));
  EXPECT_EQ(parse_version("1.2.3+abc"), (Version{1, 2, 3}));
}

TEST(ParseVersion, RefusesEverythingElse) {
  for (const char* text : {"", "1", "1.2", "1.2.", "v1.2.3", "1.2.3.4", "1.2.x", "-1.2.3", "1.-2.3", "1..3",
                           "99999999999.0.0", "1.2.3 "})
    EXPECT_FALSE(parse_version(text)) << '"' << text << '"';
}

TEST(ParseVersion, ReadsThisBuildsOwn) { EXPECT_TRUE(parse_version(program_version())) << program_version(); }

TEST(WorksWith, AllowsOneMinorVersionEitherWay) {
  const Version own{1, 4, 2};
  EXPECT_TRUE(works_with(own, {1, 4, 9}));
  EXPECT_TRUE(works_with(own, {1, 3, 0}));
  EXPECT_TRUE(works_with(own, {1, 5, 0}));
  EXPECT_FALSE(works_with(own, {1, 2, 9}));
  EXPECT_FALSE(works_with(own, {1, 6, 0}));
  EXPECT_FALSE(works_with(own, {2, 4, 2}));
  EXPECT_FALSE(works_with(own, {0, 4, 2}));
}

TEST(RefuseWorker, NamesBothVersionsAndWhatToInstall) {
  EXPECT_EQ(refuse_worker("0.3.0", "0.2.5"), std::nullopt);
  EXPECT_EQ(refuse_worker("0.3.0", "0.4.0"), std::nullopt);
  EXPECT_EQ(refuse_worker("0.3.0", ""), std::nullopt);
  EXPECT_EQ(
      refuse_worker("0.3.0", "0.1.9"),
      "mdgen-worker 0.1.9 does not work with mdgen-coordinator 0.3.0: they may be one minor version apart; "
      "install the newer worker");
  EXPECT_THAT(*refuse_worker("0.3.0", "0.5.0"), HasSubstr("install the newer coordinator first"));
  EXPECT_THAT(*refuse_worker("0.3.0", "1.0.0"), HasSubstr("install the newer coordinator first"));
  EXPECT_THAT(*refuse_worker("0.3.0", "nonsense"), HasSubstr("MAJOR.MINOR.PATCH"));
}

TEST(RefuseTrainer, WantsEqualVersions) {
  EXPECT_EQ(refuse_trainer("0.3.0", "0.3.0"), std::nullopt);
  EXPECT_THAT(*refuse_trainer("0.3.0", "0.3.1"),
              HasSubstr("mdgen-trainer 0.3.1 does not work with mdgen-worker 0.3.0"));
  EXPECT_THAT(*refuse_trainer("0.3.0", ""), HasSubstr("of an unknown version"));
}

TEST(AdviseClient, SpeaksOfOtherMinorVersionsOnly) {
  EXPECT_EQ(advise_client("0.3.0", "0.3.7"), std::nullopt);
  EXPECT_EQ(advise_client("0.3.0", ""), std::nullopt);
  EXPECT_THAT(*advise_client("0.3.0", "0.4.0"), HasSubstr("what is new there"));
  EXPECT_THAT(*advise_client("0.3.0", "0.2.0"), HasSubstr("what is new here"));
}

}  // namespace
}  // namespace mdgen::version
