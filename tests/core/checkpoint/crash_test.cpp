// A writer that dies, or is refused, at each of its calls to the file system in turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/publisher.h"
#include "tests/support/file_faults.h"
#include "tests/support/memory_dir.h"

namespace mdgen::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using testing::FileFault;
using testing::FileFaults;
using ::testing::IsEmpty;
using Kind = FileFault::Kind;

const SystemClock kClock;

class WriterTest : public ::testing::Test {
 protected:
  WriterTest() {
    for (const int step : {1, 2, 3}) write(root / "before", step);
  }

  // What the background writer does for a checkpoint: room, files, manifest, names, read back, retention.
  static void write(const fs::path& checkpoints, std::int64_t step, int keep_last = 3) {
    Publisher publisher(checkpoints, {.keep_last = keep_last}, kClock);
    publisher.sweep();
    publisher.publish(
        {step, 1}, {step, 0, 4 * step, "spec", "plan"}, 1000, true, [&](const fs::path& folder) {
          std::vector<FileRecord> files;
          for (const std::string name : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
            const std::string bytes = name + std::to_string(step);
            const std::array<std::string_view, 2> parts = {bytes, "the end"};
            WrittenFile written = write_file_recorded(folder / name, parts);
            files.push_back({name, written.bytes, written.sha256});
          }
          return files;
        });
  }

  fs::path fresh() {
    const fs::path checkpoints = root / "now" / "checkpoints";
    fs::remove_all(root / "now");
    fs::create_directories(checkpoints.parent_path());
    fs::copy(root / "before", checkpoints, fs::copy_options::recursive);
    return checkpoints;
  }

  // Step 4 is written, and older ones removed: publishing, reading back and retention are all there.
  std::vector<std::string> calls() {
    const fs::path checkpoints = fresh();
    const FileFaults watch(root);
    write(checkpoints, 4, 1);
    return watch.log();
  }

  // A good one is there, no bad one has a checkpoint's name, and the next run goes on and sweeps.
  void expect_usable(const fs::path& checkpoints) {
    std::vector<std::string> notes;
    const auto found = newest_good(checkpoints, notes);
    ASSERT_TRUE(found);
    EXPECT_THAT(found->manifest.summary.step, AnyOf(3, 4));
    EXPECT_THAT(notes, IsEmpty());
    ASSERT_NO_THROW(write(checkpoints, 5, 1));
    const std::vector<std::string> names = names_in_folder(checkpoints);
    EXPECT_THAT(names, ::testing::UnorderedElementsAre("latest", "step-000000005-g0001"));
  }

  testing::MemoryDir memory;
  const fs::path root = memory.path();
};

TEST_F(WriterTest, TheSequenceHasEachKindOfCall) {
  const std::vector<std::string> log = calls();
  std::set<std::string> kinds;
  for (const std::string& call : log) kinds.insert(call.substr(0, call.find(' ')));
  EXPECT_THAT(kinds, ::testing::IsSupersetOf(
                         {"mkdir", "open", "write", "fsync", "close", "rename", "unlink", "read"}));
  EXPECT_GT(log.size(), 60U);
}

class Killed : public WriterTest, public ::testing::WithParamInterface<Kind> {};

TEST_P(Killed, AtEachCall_ThePreviousOneIsUsable) {
  const std::vector<std::string> log = calls();
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + " of " + std::to_string(log.size()) + ": " + log[at]);
    const fs::path checkpoints = fresh();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const FileFaults faults(root, {.at = at, .kind = GetParam()});
      write(checkpoints, 4, 1);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the fault was not met";
    expect_usable(checkpoints);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Writer, Killed,
                         ::testing::Values(Kind::kKillBefore, Kind::kKillHalfway, Kind::kKillAfter),
                         [](const auto& info) {
                           return info.param == Kind::kKillBefore    ? "Before"
                                  : info.param == Kind::kKillHalfway ? "Halfway"
                                                                     : "After";
                         });

struct Refusal {
  Kind kind;
  int error;
};
class Refused : public WriterTest, public ::testing::WithParamInterface<Refusal> {
 protected:
  // With a fault at one call: it is written, or it throws Error.
  bool written(const fs::path& checkpoints, const FileFault& fault) {
    const FileFaults faults(root, fault);
    try {
      write(checkpoints, 4, 1);
      return true;
    } catch (const Error&) {
      return false;
    }
  }
};

TEST_P(Refused, AtEachCall_ItIsAnErrorOrNoHarm) {
  const std::vector<std::string> log = calls();
  int failures = 0;
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + " of " + std::to_string(log.size()) + ": " + log[at]);
    const fs::path checkpoints = fresh();
    const bool done = written(checkpoints, {.at = at, .kind = GetParam().kind, .error = GetParam().error});
    if (done) {
      EXPECT_EQ(verify(checkpoints / "step-000000004-g0001").summary.step, 4);
    }
    failures += done ? 0 : 1;
    expect_usable(checkpoints);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  if (GetParam().error == EIO) {
    EXPECT_GT(failures, 30) << "errors are not swallowed";
  }
  if (GetParam().error == EINTR || GetParam().kind == Kind::kShort) {
    EXPECT_LE(failures, 6) << "these are gone over";
  }
}

INSTANTIATE_TEST_SUITE_P(Writer, Refused,
                         ::testing::Values(Refusal{Kind::kError, ENOSPC}, Refusal{Kind::kError, EDQUOT},
                                           Refusal{Kind::kError, EIO}, Refusal{Kind::kError, ESTALE},
                                           Refusal{Kind::kError, EINTR}, Refusal{Kind::kErrorAfter, EIO},
                                           Refusal{Kind::kErrorAfter, ENOENT}, Refusal{Kind::kShort, 0}),
                         [](const auto& info) {
                           const std::string when = info.param.kind == Kind::kErrorAfter ? "_Done" : "";
                           return info.param.error == 0 ? "Short"
                                                        : ::strerrorname_np(info.param.error) + when;
                         });

class Network : public Refused {};

// NFS: a rename whose answer was lost is asked again, and then there is nothing left to rename.
TEST_F(Network, ARenameThatHappenedButSaysENOENT_IsSuccess) {
  const std::vector<std::string> log = calls();
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    if (!log[at].starts_with("rename ")) continue;
    const fs::path checkpoints = fresh();
    EXPECT_TRUE(written(checkpoints, {.at = at, .kind = Kind::kErrorAfter, .error = ENOENT})) << log[at];
    EXPECT_EQ(verify(checkpoints / "step-000000004-g0001").summary.step, 4);
    expect_usable(checkpoints);
  }
}

TEST_F(Network, AFolderThatCannotBeSyncedIsTolerated) {
  const std::vector<std::string> log = calls();
  int folders = 0;
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    const std::string path = log[at].substr(log[at].find(' ') + 1);
    if (!log[at].starts_with("fsync ") || path.ends_with(".safetensors") || path.ends_with(".json")) continue;
    if (path.find("/.tmp-") != std::string::npos && !fs::path(path).filename().string().starts_with(".tmp-"))
      continue;
    ++folders;
    const fs::path checkpoints = fresh();
    EXPECT_TRUE(written(checkpoints, {.at = at, .kind = Kind::kError, .error = EINVAL})) << log[at];
    expect_usable(checkpoints);
  }
  EXPECT_GE(folders, 2);
}

TEST_F(Network, ACloseThatFailsIsAnError) {
  const std::vector<std::string> log = calls();
  int closed = 0;
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    if (!log[at].starts_with("close ") || log[at].find(".tmp-g") == std::string::npos) continue;
    if (!log[at].ends_with(".safetensors") && !log[at].ends_with(".json")) continue;
    ++closed;
    const fs::path checkpoints = fresh();
    EXPECT_FALSE(written(checkpoints, {.at = at, .kind = Kind::kError, .error = EIO})) << log[at];
    expect_usable(checkpoints);
  }
  EXPECT_EQ(closed, 4);
}

// From some call on nothing more can be written; then there is space again.
TEST_F(Network, AFullDisk_FromEachCallOn) {
  const std::vector<std::string> log = calls();
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    SCOPED_TRACE(log[at]);
    const fs::path checkpoints = fresh();
    written(checkpoints, {.at = at, .kind = Kind::kError, .error = ENOSPC, .from_then_on = true});
    expect_usable(checkpoints);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

}  // namespace
}  // namespace mdgen::checkpoint
