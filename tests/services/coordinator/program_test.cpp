// mdgen-coordinator as a process.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;

class Process {
 public:
  Process(std::vector<std::string> arguments, const std::filesystem::path& errors) {
    arguments.insert(arguments.begin(), MDGEN_BIN_DIR "/mdgen-coordinator");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int status = ::posix_spawn(&process_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ::fdopen(ends[0], "r");
    if (status != 0) throw std::runtime_error("posix_spawn");
  }
  ~Process() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait();
    }
    std::fclose(output_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  std::string line() {
    char text[4096] = "";
    return std::fgets(text, sizeof text, output_) == nullptr ? "" : text;
  }
  void signal(int number) const { ::kill(process_, number); }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(process_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t process_ = -1;
  std::FILE* output_ = nullptr;
};

struct Program : ::testing::Test {
  std::vector<std::string> flags(const std::string& state) const {
    return {"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state_dir", (folder / state).string()};
  }
  testing::TempDir folder;
};

TEST_F(Program, SaysWhereItListensAndEndsOnASignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Process process(flags("state"), folder / "errors");
    EXPECT_THAT(process.line(),
                ::testing::MatchesRegex("ready grpc=127.0.0.1:[1-9][0-9]* http=127.0.0.1:[1-9][0-9]*\n"));
    process.signal(signal);
    EXPECT_EQ(process.wait(), 0);
  }
}

TEST_F(Program, RefusesAStateFolderThatIsHeld) {
  Process holder(flags("state"), folder / "errors1");
  ASSERT_THAT(holder.line(), HasSubstr("ready"));
  Process second(flags("state"), folder / "errors2");
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(read_file(folder / "errors2"), HasSubstr("another coordinator"));
  EXPECT_EQ(second.line(), "");
}

TEST_F(Program, SurvivesBeingKilled) {
  {
    Process process(flags("state"), folder / "errors1");
    ASSERT_THAT(process.line(), HasSubstr("ready"));
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait(), -SIGKILL);
  }
  Process again(flags("state"), folder / "errors2");
  EXPECT_THAT(again.line(), HasSubstr("ready"));
}

TEST_F(Program, RefusesAnAddressThatIsTaken) {
  Process holder(flags("state1"), folder / "errors1");
  const std::string line = holder.line();
  ASSERT_THAT(line, ::testing::StartsWith("ready grpc="));
  const std::string taken = line.substr(11, line.find(" http=") - 11);
  Process second({"--listen", taken, "--http", "", "--state_dir", (folder / "state2").string()},
                 folder / "errors2");
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(read_file(folder / "errors2"), HasSubstr(taken));
}

TEST_F(Program, HelpVersionAndWrongUse) {
  EXPECT_EQ(Process({"--help"}, folder / "errors").wait(), 0);
  EXPECT_EQ(Process({"--version"}, folder / "errors").wait(), 0);
  EXPECT_EQ(Process({}, folder / "errors").wait(), 2) << "state_dir is required";
  EXPECT_EQ(Process({"--nonsense"}, folder / "errors").wait(), 2);
  auto wrong = flags("state");
  wrong[1] = "nowhere";
  EXPECT_EQ(Process(wrong, folder / "errors").wait(), 2);
  EXPECT_THAT(read_file(folder / "errors"), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace mdgen::coordinator
