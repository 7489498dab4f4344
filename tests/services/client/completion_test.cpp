// Completion, help and the reference.
#include "services/client/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/files.h"
#include "fake_world.h"

namespace mdgen::client {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> values(const Completion& completion) {
  std::vector<std::string> words;
  for (const Candidate& one : completion.candidates) words.push_back(one.value);
  return words;
}

struct Complete : ::testing::Test {
  const CommandTree tree;
  FakeWorld fake;
  std::vector<std::string> of(std::vector<std::string> words) { return values(complete(tree, words)); }
};

TEST_F(Complete, VerbsAndTheirVerbs) {
  EXPECT_THAT(of({"st"}), ElementsAre("status"));
  EXPECT_THAT(of({""}), Contains("checkpoints"));
  EXPECT_THAT(of({"checkpoints", "ver"}), ElementsAre("verify"));
  EXPECT_THAT(of({"--address", "h:1", "st"}), ElementsAre("status")) << "an option's value is no verb";
  EXPECT_THAT(of({"help", "checkpoints", "ex"}), ElementsAre("export"));
  EXPECT_THAT(of({"nonsense", ""}), Not(IsEmpty()));
}

TEST_F(Complete, OptionsOfTheVerbAndOfAll) {
  EXPECT_THAT(of({"logs", "j1", "--ra"}), ElementsAre("--rank"));
  EXPECT_THAT(of({"logs", "j1", "--add"}), ElementsAre("--address"));
  EXPECT_THAT(of({"logs", "--"}), Not(Contains("--grace")));
  EXPECT_THAT(of({"help", "--mark"}), IsEmpty()) << "hidden";
}

TEST_F(Complete, ValuesOfOptions) {
  EXPECT_THAT(of({"list", "-o", "j"}), ElementsAre("json"));
  EXPECT_THAT(of({"list", "--output=y"}), ElementsAre("--output=yaml"));
  EXPECT_THAT(of({"list", "--state", "PAUS"}), ElementsAre("PAUSING", "PAUSED"));
  EXPECT_THAT(of({"inject", "j1", "h"}), ElementsAre("hang"));
  EXPECT_THAT(of({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(of({"logs", "j1", "--rank", ""}), IsEmpty());
}

TEST_F(Complete, KnowsWhatIsAJobAWorkerOrAFile) {
  EXPECT_TRUE(complete(tree, {"watch", ""}).wants_jobs);
  EXPECT_FALSE(complete(tree, {"watch", "j1", ""}).wants_jobs) << "one is enough";
  EXPECT_TRUE(complete(tree, {"drain", ""}).wants_workers);
  EXPECT_TRUE(complete(tree, {"submit", "-f", ""}).wants_files);
  EXPECT_TRUE(complete(tree, {"submit", "--file=jo"}).wants_files);
  const Completion both = complete(tree, {"ledger", "verify", ""});
  EXPECT_TRUE(both.wants_jobs && both.wants_folders);
  EXPECT_THAT(of({"submit", "--", "--num_fr"}), ElementsAre("--num_frames"));
}

TEST_F(Complete, AsksTheCoordinatorForJobsAndWorkers) {
  fake.api.on_list = [](const v1::ListJobsRequest&) {
    v1::ListJobsResponse page;
    for (const auto& [id, name] : {std::pair{"aa1", "twice"}, {"aa2", "twice"}, {"bb3", "atlas"}}) {
      v1::Job& job = *page.add_jobs();
      job.set_id(id);
      job.set_name(name);
      job.set_state(v1::JOB_STATE_RUNNING);
    }
    return page;
  };
  EXPECT_EQ(fake.run({"__complete", "--address", "h:2", "watch", ""}), 0);
  EXPECT_EQ(fake.out.str(), "aa1\tRUNNING, twice\naa2\tRUNNING, twice\natlas\tRUNNING, bb3\n:\n");
  EXPECT_EQ(fake.connected.address, "h:2");
  EXPECT_LE(fake.connected.answer_within, std::chrono::seconds(1));
  fake.out.str("");
  EXPECT_EQ(fake.run({"__complete", "watch", "bb"}), 0);
  EXPECT_EQ(fake.out.str(), "bb3\tRUNNING, atlas\n:\n") << "who types an id means it";
  fake.out.str("");
  fake.api.on_workers = []() -> v1::ListWorkersResponse { throw lost(); };
  EXPECT_EQ(fake.run({"__complete", "drain", ""}), 0);
  EXPECT_EQ(fake.out.str() + fake.err.str(), ":\n") << "a TAB is no place for errors";
}

TEST_F(Complete, NoConfigurationIsNoError) {
  fake.variables = {{"MDGEN_CONFIG", "/not/there"}};
  EXPECT_EQ(fake.run({"__complete", "watch", ""}), 0);
  EXPECT_EQ(fake.out.str(), ":\n");
  fake.out.str("");
  EXPECT_EQ(fake.run({"__complete"}), 0);
  EXPECT_EQ(fake.out.str(), ":\n");
}

TEST(Help, EachVerbHasAnExampleThatParses) {
  for (const Chapter& chapter : chapters()) {
    for (const Verb& verb : chapter.verbs) {
      if (verb.name == "version") continue;
      EXPECT_FALSE(verb.examples.empty()) << verb.name;
      std::istringstream lines(verb.examples);
      for (std::string line; std::getline(lines, line);) {
        line = line.substr(0, line.find("   #"));
        if (const std::size_t redirect = line.find(" > "); redirect != line.npos) line.resize(redirect);
        std::vector<std::string> words;
        std::istringstream split(line);
        for (std::string word; split >> word && word != "--";) words.push_back(word);
        std::reverse(words.begin(), words.end());
        CommandTree tree;
        EXPECT_NO_THROW(tree.app().parse(words)) << line;
        EXPECT_NE(tree.chosen, nullptr) << line;
      }
    }
  }
}

TEST(Help, OfAVerbAndOfNone) {
  FakeWorld fake;
  EXPECT_EQ(fake.run({"help", "logs"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("--tail LINES"));
  EXPECT_THAT(fake.out.str(), HasSubstr("Examples:\n  mdgenctl logs atlas-1 -f\n"));
  fake.out.str("");
  EXPECT_EQ(fake.run({"help", "checkpoints", "rm"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("--force"));
  EXPECT_EQ(fake.run({"help", "logz"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("there is no verb \"logz\"; did you mean \"logs\"?"));
  fake.out.str("");
  EXPECT_EQ(fake.run({"help"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("Workers and the queue:"));
  EXPECT_THAT(fake.out.str(), Not(HasSubstr("__complete")));
}

TEST(Reference, DocsCliIsAsGenerated) {
  FakeWorld fake;
  EXPECT_EQ(fake.run({"help", "--markdown"}), 0);
  const std::string page = read_file(std::filesystem::path(MDGEN_SOURCE_DIR) / "docs/cli.md");
  const std::string mark = "<!-- from here on generated by mdgenctl help --markdown -->\n";
  const std::size_t at = page.find(mark);
  ASSERT_NE(at, std::string::npos);
  EXPECT_TRUE(page.substr(at + mark.size()) == fake.out.str())
      << "regenerate it: sed -i '/<!-- from here on generated/q' docs/cli.md && "
         "build/bin/mdgenctl help --markdown >> docs/cli.md";
}

}  // namespace
}  // namespace mdgen::client
