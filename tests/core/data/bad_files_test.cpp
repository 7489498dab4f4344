// What the file system can put in the place of a split or an array. What a file may hold: test_bad_files.py.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/data/preflight.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Root may read everything: as nobody for a while.
class AsNobody {
 public:
  AsNobody() : was_root_(::geteuid() == 0) {
    if (was_root_ && ::seteuid(65534) != 0) throw std::runtime_error("seteuid");
  }
  ~AsNobody() {
    if (was_root_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool was_root_;
};

class BadFilesTest : public ::testing::Test {
 protected:
  BadFilesTest() {
    fs::permissions(folder_.path(), static_cast<fs::perms>(0755));
    fs::create_directory(data_);
    std::ofstream(split_) << "name,seqres\np1,ACDE\n";
    for (const char* name : {"p1_R1.npy", "p1_R2.npy", "p1_R3.npy"}) write(name);
    spec_.mutable_data()->set_train_split(split_);
    spec_.mutable_data()->set_data_dir(data_);
    spec_.mutable_data()->set_num_frames(2);
    spec_.mutable_data()->set_crop(8);
    spec_.mutable_data()->set_atlas(true);
    spec_.mutable_loop()->set_no_validate(true);
  }
  void write(const std::string& name) const {
    const std::vector<std::int64_t> shape = {3, 4, 14, 3};
    format::write_npy(data_ / name, "<f2", shape, std::vector<std::byte>(std::size_t{3} * 4 * 14 * 3 * 2));
  }
  std::vector<std::string> problems() const {
    const v1::Preflight found = examine_data(spec_);
    return {found.problems().begin(), found.problems().end()};
  }
  void expect_problem(const std::string& file, const std::string& reason) const {
    EXPECT_THAT(problems(), ElementsAre(HasSubstr(file + ": " + reason)));
  }

  testing::TempDir folder_;
  fs::path data_ = folder_ / "data";
  fs::path split_ = folder_ / "train.csv";
  fs::path array_ = data_ / "p1_R2.npy";
  v1::JobSpec spec_;
};

TEST_F(BadFilesTest, GoodFiles) { EXPECT_THAT(problems(), IsEmpty()); }

TEST_F(BadFilesTest, Fifo_IsRefusedWithoutWaiting) {
  fs::remove(array_);
  ASSERT_EQ(::mkfifo(array_.c_str(), 0600), 0);
  expect_problem(array_, "a FIFO, an .npy file is expected");
  fs::remove(split_);
  ASSERT_EQ(::mkfifo(split_.c_str(), 0600), 0);
  expect_problem(split_, "no regular file, a CSV file is expected");
}

TEST_F(BadFilesTest, FolderInAFilesPlace) {
  fs::remove(array_);
  fs::create_directory(array_);
  expect_problem(array_, "a folder, an .npy file is expected");
  fs::remove(split_);
  fs::create_directory(split_);
  expect_problem(split_, "a folder, a CSV file is expected");
}

TEST_F(BadFilesTest, NoPermission) {
  fs::permissions(array_, fs::perms::none);
  {
    const AsNobody nobody;
    expect_problem(array_, "cannot open: Permission denied");
  }
  fs::permissions(split_, fs::perms::none);
  const AsNobody nobody;
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("cannot open " + split_.string() + ": Permission denied")));
}

TEST_F(BadFilesTest, LinkThatLeadsNowhere_IsNoAbsentReplica) {
  fs::remove(array_);
  fs::create_symlink("../gone.npy", array_);
  expect_problem(array_, "cannot open: a symbolic link to ../gone.npy, which does not exist");
  fs::remove(array_);
  fs::create_symlink(array_.filename(), array_);
  expect_problem(array_, "cannot open: Too many levels of symbolic links");
}

TEST_F(BadFilesTest, LinkedFolderAndLinkedFiles_AreUsed) {
  fs::rename(data_, folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", data_);
  EXPECT_THAT(problems(), IsEmpty());
  fs::rename(folder_ / "elsewhere" / "p1_R2.npy", folder_ / "stored.npy");
  fs::create_symlink("../stored.npy", folder_ / "elsewhere" / "p1_R2.npy");
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(BadFilesTest, NoDataFolder_IsSaidOnce) {
  std::ofstream(split_) << "name,seqres\np1,ACDE\np2,ACDE\np3,ACXE\n";
  fs::rename(data_, folder_ / "moved");
  EXPECT_THAT(problems(),
              ElementsAre(HasSubstr("(p3): letter 'X'"), "data_dir " + data_.string() + ": no such folder"));
  std::ofstream(data_) << "a file";
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("(p3)"), "data_dir " + data_.string() + ": no folder"));
}

TEST_F(BadFilesTest, OrderOfProblems_DoesNotDependOnThreads) {
  std::ofstream split(split_);
  split << "name,seqres\n";
  for (int i = 0; i < 60; ++i) {
    const std::string name = "q" + std::to_string(i);
    split << name << ",ACDE\n";
    if (i % 3 == 0) continue;
    write(name + "_R1.npy");
    if (i % 3 == 1) fs::resize_file(data_ / (name + "_R1.npy"), static_cast<std::uintmax_t>(i));
  }
  split.close();
  const v1::Preflight one = examine_data(spec_, {.threads = 1});
  EXPECT_THAT(one.problems(), SizeIs(40));
  EXPECT_EQ(one.arrays(), 40);
  for (int round = 0; round < 5; ++round)
    EXPECT_EQ(examine_data(spec_, {.threads = 16}).SerializeAsString(), one.SerializeAsString());
}

TEST_F(BadFilesTest, Progress_CountsFilesLookedForAndMayEndIt) {
  std::size_t last = 0;
  examine_data(spec_, {.progress = [&](std::size_t done, std::size_t total) {
                 EXPECT_EQ(total, 3U);
                 last = done;
                 return true;
               }});
  EXPECT_EQ(last, 3U);
}

}  // namespace
}  // namespace mdgen::data
