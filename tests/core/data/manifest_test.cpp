#include "core/data/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    std::filesystem::create_directory(folder_ / "data");
    spec_.mutable_data()->set_train_split(folder_ / "train.csv");
    spec_.mutable_data()->set_val_split(folder_ / "val.csv");
    spec_.mutable_data()->set_data_dir(folder_ / "data");
    spec_.mutable_data()->set_num_frames(5);
    spec_.mutable_data()->set_crop(8);
    spec_.mutable_data()->set_atlas(true);
    spec_.mutable_optim()->set_batch_size(2);
    spec_.mutable_loop()->set_no_validate(true);
  }

  void write_split(const std::string& text, const std::string& name = "train.csv") {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::filesystem::path array(const std::string& name) const { return folder_ / "data" / name; }
  void write_array(const std::string& name, std::vector<std::int64_t> shape,
                   const std::string& dtype = "<f2") {
    std::size_t bytes = static_cast<std::size_t>(dtype[2] - '0');
    for (const std::int64_t dimension : shape) bytes *= static_cast<std::size_t>(dimension);
    format::write_npy(array(name), dtype, shape, std::vector<std::byte>(bytes));
  }
  void write_replicas(const std::string& name, std::int64_t frames, std::int64_t residues) {
    for (const char* replica : {"_R1", "_R2", "_R3"})
      write_array(name + replica + ".npy", {frames, residues, 14, 3});
  }
  std::string error() const {
    try {
      build_manifest(spec_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  }
  std::string train_file() const { return (folder_ / "train.csv").string(); }

  testing::TempDir folder_;
  v1::JobSpec spec_;
};

TEST_F(ManifestTest, Atlas_ListsReplicasPresent) {
  write_split("name,seqres\r\np1,ACDE\r\n\"p2\",\"GG\"\r\n");
  write_replicas("p1", 6, 4);
  write_array("p2_R1.npy", {5, 2, 14, 3}, "<f4");
  write_array("p2_R3.npy", {7, 2, 14, 3});
  const ManifestResult result = build_manifest(spec_);
  const v1::Manifest& train = result.manifest.train();
  ASSERT_EQ(train.entries_size(), 2);
  EXPECT_EQ(train.entries(0).name(), "p1");
  EXPECT_EQ(train.entries(0).seqres(), "ACDE");
  EXPECT_EQ(train.entries(0).residues(), 4);
  EXPECT_EQ(train.entries(0).replicas_size(), 3);
  ASSERT_EQ(train.entries(1).replicas_size(), 2);
  const v1::Replica& last = train.entries(1).replicas(1);
  EXPECT_EQ(last.index(), 3);
  EXPECT_EQ(last.file(), "p2_R3.npy");
  EXPECT_EQ(last.frames(), 7);
  EXPECT_EQ(last.dtype(), "<f2");
  EXPECT_EQ(last.bytes(), static_cast<std::int64_t>(std::filesystem::file_size(array("p2_R3.npy"))));
  EXPECT_GT(last.mtime_ns(), 0);
  EXPECT_EQ(array_file(spec_, last), array("p2_R3.npy").string());
  EXPECT_EQ(train.entries(1).replicas(0).dtype(), "<f4");
  EXPECT_THAT(
      result.warnings,
      ElementsAre(train_file() + ": 1 entry has fewer than three replicas; those present are drawn: p2"));
  EXPECT_EQ(result.manifest.val().entries_size(), 0);
}

TEST_F(ManifestTest, WithoutAtlas_OneFileAnEntry) {
  spec_.mutable_data()->set_atlas(false);
  spec_.mutable_data()->set_suffix("_i100");
  write_split("name,seqres\nFLRH,FLRH\n");
  write_array("FLRH_i100.npy", {5, 4, 14, 3});
  const ManifestResult result = build_manifest(spec_);
  ASSERT_EQ(result.manifest.train().entries(0).replicas_size(), 1);
  EXPECT_EQ(result.manifest.train().entries(0).replicas(0).index(), 0);
  EXPECT_EQ(result.manifest.train().entries(0).replicas(0).file(), "FLRH_i100.npy");
  EXPECT_THAT(result.warnings, IsEmpty());
}

TEST_F(ManifestTest, Overfit_IsTheFirstEntryAsOftenAsTheSplitHasRows) {
  write_split("name,seqres\np1,ACDE\np2,GG\np3,GG\n");
  write_replicas("p1", 6, 4);  // the others have no files
  spec_.mutable_data()->set_overfit(true);
  spec_.mutable_data()->set_val_split(folder_ / "absent.csv");
  spec_.mutable_loop()->set_no_validate(false);
  const v1::JobManifest manifest = build_manifest(spec_).manifest;
  ASSERT_EQ(manifest.train().entries_size(), 1);
  EXPECT_EQ(manifest.train().entries(0).name(), "p1");
  EXPECT_EQ(manifest.train().items(), 3U);
  EXPECT_EQ(manifest.val().SerializeAsString(), manifest.train().SerializeAsString());

  write_split("name,seqres\np1,ACDE\np2,GG\n");
  EXPECT_NE(build_manifest(spec_).manifest.train().digest(), manifest.train().digest());
}

TEST_F(ManifestTest, OverfitPeptide_NeedsItsFileAlone) {
  std::filesystem::remove(folder_ / "train.csv");
  spec_.mutable_data()->set_atlas(false);
  spec_.mutable_data()->set_suffix("_i100");
  spec_.mutable_data()->set_overfit_peptide("FLRH");
  spec_.mutable_loop()->set_no_validate(false);
  EXPECT_THAT(error(), HasSubstr("overfit_peptide FLRH: FLRH_i100.npy is not in " + spec_.data().data_dir()));
  write_array("FLRH_i100.npy", {5, 4, 14, 3});
  const v1::JobManifest manifest = build_manifest(spec_).manifest;
  ASSERT_EQ(manifest.train().entries_size(), 1);
  EXPECT_EQ(manifest.train().entries(0).seqres(), "FLRH");
  EXPECT_EQ(manifest.train().entries(0).replicas(0).file(), "FLRH_i100.npy");
  EXPECT_EQ(manifest.train().items(), 1000U);
  EXPECT_EQ(manifest.val().items(), 1000U);
  spec_.mutable_data()->set_overfit_peptide("FL-H");
  EXPECT_THAT(error(), HasSubstr("overfit_peptide FL-H: letter '-' at residue 3"));
}

TEST_F(ManifestTest, FrameInterval_CountsTheFramesThatAreLeft) {
  write_split("name,seqres\np1,ACDE\n");
  write_replicas("p1", 17, 4);
  spec_.mutable_data()->set_frame_interval(4);  // 0, 4, 8, 12, 16
  EXPECT_EQ(error(), "");
  EXPECT_EQ(build_manifest(spec_).manifest.train().entries(0).replicas(0).frames(), 17);
  spec_.mutable_data()->set_frame_interval(5);  // 0, 5, 10, 15
  EXPECT_THAT(error(), HasSubstr("17 frames, 4 of them at frame_interval 5, num_frames needs at least 5"));
}

TEST_F(ManifestTest, ExtraColumnsByteOrderMarkAndOrder_AreIgnored) {
  write_split("\xEF\xBB\xBFseqres,release_date,name\nACDE,2020-01-01,p1\n");
  write_replicas("p1", 5, 4);
  EXPECT_EQ(build_manifest(spec_).manifest.train().entries(0).name(), "p1");
}

TEST_F(ManifestTest, Digest_DependsOnContentNotOnFolderOrTime) {
  write_split("name,seqres\np1,ACDE\n");
  write_replicas("p1", 6, 4);
  const v1::JobManifest before = build_manifest(spec_).manifest;
  std::filesystem::last_write_time(array("p1_R1.npy"),
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  std::filesystem::rename(folder_ / "data", folder_ / "moved");
  spec_.mutable_data()->set_data_dir(folder_ / "moved");
  const v1::JobManifest moved = build_manifest(spec_).manifest;
  EXPECT_NE(moved.train().entries(0).replicas(0).mtime_ns(),
            before.train().entries(0).replicas(0).mtime_ns());
  EXPECT_EQ(moved.train().digest(), before.train().digest());
  EXPECT_EQ(moved.digest(), before.digest());
  EXPECT_EQ(moved.train().digest().size(), 64U);

  const auto changed = [&](auto change) {
    v1::Manifest other = before.train();
    change(other.mutable_entries(0));
    return manifest_digest(other);
  };
  EXPECT_NE(changed([](auto* e) { e->set_name("q"); }), before.train().digest());
  EXPECT_NE(changed([](auto* e) { e->set_seqres("ACDF"); }), before.train().digest());
  EXPECT_NE(changed([](auto* e) { e->mutable_replicas(0)->set_frames(7); }), before.train().digest());
  EXPECT_NE(changed([](auto* e) { e->mutable_replicas(0)->set_bytes(7); }), before.train().digest());
  EXPECT_NE(changed([](auto* e) { e->mutable_replicas(0)->set_dtype("<f4"); }), before.train().digest());
  EXPECT_NE(changed([](auto* e) { e->mutable_replicas()->RemoveLast(); }), before.train().digest());
  EXPECT_EQ(changed([](auto* e) { e->mutable_replicas(0)->set_file("elsewhere/p1_R1.npy"); }),
            before.train().digest());
}

TEST_F(ManifestTest, ValidationSplit_IsReadUnlessNoValidate) {
  write_split("name,seqres\np1,ACDE\n");
  write_replicas("p1", 6, 4);
  EXPECT_EQ(build_manifest(spec_).manifest.val().entries_size(), 0);
  spec_.mutable_loop()->set_no_validate(false);
  EXPECT_THAT(error(), HasSubstr("val.csv"));
  write_split("name,seqres\np2,GG\n", "val.csv");
  EXPECT_THAT(error(), HasSubstr("val.csv, line 2 (p2): none of p2_R1.npy"));
  write_replicas("p2", 6, 2);
  const v1::JobManifest manifest = build_manifest(spec_).manifest;
  EXPECT_EQ(manifest.val().entries(0).name(), "p2");
  EXPECT_NE(manifest.val().digest(), manifest.train().digest());
}

TEST_F(ManifestTest, ExactlyNumFrames_IsEnough) {
  write_split("name,seqres\np1,ACDE\n");
  write_replicas("p1", 5, 4);
  EXPECT_EQ(error(), "");
}

TEST_F(ManifestTest, AbsentSplit_NamesIt) { EXPECT_THAT(error(), HasSubstr(train_file())); }

TEST_F(ManifestTest, BadSplits_AreNamed) {
  write_replicas("p1", 6, 4);
  const auto error_for = [&](const std::string& text) {
    write_split(text);
    return error();
  };
  EXPECT_THAT(error_for(""), HasSubstr(train_file() + ": empty; a header"));
  EXPECT_THAT(error_for("name,seqres\n"), HasSubstr("no entries after the header"));
  EXPECT_THAT(error_for("id,seqres\np1,ACDE\n"), HasSubstr("no column 'name' (the header has: id, seqres)"));
  EXPECT_THAT(error_for("name,sequence\np1,ACDE\n"), HasSubstr("no column 'seqres'"));
  EXPECT_THAT(error_for("name,seqres,name\np1,ACDE,p1\n"), HasSubstr("column 'name' appears 2 times"));
  EXPECT_THAT(error_for("name,seqres\np1\n"), HasSubstr("line 2: 1 fields, the header has 2"));
  EXPECT_THAT(error_for("name,seqres\n\"p1,ACDE\n"), HasSubstr("line 2: a quoted field does not end"));
  EXPECT_THAT(error_for("name,seqres\n,ACDE\n"), HasSubstr("line 2: the name is empty"));
  EXPECT_THAT(error_for("name,seqres\np1,\n"), HasSubstr("line 2 (p1): the sequence is empty"));
  EXPECT_THAT(error_for("name,seqres\np1,ACDE\np1,ACDE\n"),
              HasSubstr("line 3: the name 'p1' is on line 2 already"));
  EXPECT_THAT(error_for("name,seqres\np1,ACXE\n"),
              HasSubstr("line 2 (p1): letter 'X' at residue 3 is none of"));
  EXPECT_THAT(error_for("name,seqres\np1,ACdE\n"), HasSubstr("letter 'd' at residue 3"));
  for (const char* name : {"../p1", "a/p1", "a\\p1", "..", ".", "\"p\n1\""})
    EXPECT_THAT(error_for(std::string("name,seqres\n") + name + ",ACDE\n"),
                HasSubstr("not a plain file name"));
}

TEST_F(ManifestTest, BadArrays_AreNamed) {
  write_split("name,seqres\np1,ACDE\n");
  write_replicas("p1", 6, 4);
  const auto error_for = [&](std::vector<std::int64_t> shape, const std::string& dtype) {
    write_array("p1_R2.npy", std::move(shape), dtype);
    return error();
  };
  const std::string file = array("p1_R2.npy").string();
  EXPECT_THAT(error_for({4, 4, 14, 3}, "<f2"), HasSubstr(file + ": 4 frames, num_frames needs at least 5"));
  EXPECT_THAT(error_for({6, 5, 14, 3}, "<f2"), HasSubstr(file + ": 5 residues, the sequence of p1 has 4"));
  EXPECT_THAT(error_for({6, 4, 37, 3}, "<f2"),
              HasSubstr(file + ": shape [6, 4, 37, 3], expected [frames, residues, 14, 3]"));
  EXPECT_THAT(error_for({6, 4, 42}, "<f2"), HasSubstr(file + ": shape [6, 4, 42]"));
  EXPECT_THAT(error_for({6, 4, 14, 3}, "<f8"), HasSubstr(file + ": dtype '<f8', expected '<f2' or '<f4'"));
  EXPECT_THAT(error_for({6, 4, 14, 3}, "<f2"), "");

  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_THAT(error(), HasSubstr(file + ": truncated"));
  std::ofstream(file) << "not an array";
  EXPECT_THAT(error(), HasSubstr(file + ": not an .npy file"));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_THAT(error(), HasSubstr(file));
}

TEST_F(ManifestTest, FortranOrder_IsRefused) {
  write_split("name,seqres\np1,ACDE\n");
  write_array("p1_R1.npy", {6, 4, 14, 3});
  std::fstream stream(array("p1_R1.npy"), std::ios::in | std::ios::out | std::ios::binary);
  std::string text(128, '\0');
  stream.read(text.data(), 128);
  const std::size_t at = text.find("False");
  ASSERT_NE(at, std::string::npos);
  stream.seekp(static_cast<std::streamoff>(at));
  stream << "True ";
  stream.close();
  EXPECT_THAT(error(), HasSubstr("p1_R1.npy: the array is in Fortran order, expected C order"));
}

TEST_F(ManifestTest, WithoutAtlas_AbsentFileAndMixedLengths_AreNamed) {
  spec_.mutable_data()->set_atlas(false);
  write_split("name,seqres\np1,ACDE\np2,ACD\np3,ACE\n");
  write_array("p1.npy", {6, 4, 14, 3});
  write_array("p2.npy", {6, 3, 14, 3});
  EXPECT_THAT(error(), HasSubstr("line 4 (p3): p3.npy is not in " + (folder_ / "data").string()));
  write_array("p3.npy", {6, 3, 14, 3});
  EXPECT_THAT(error(), HasSubstr("p1 has 4 residues and p2 has 3; without atlas (crop and pad) all must be "
                                 "equal unless batch_size is 1, not 2"));
  spec_.mutable_optim()->set_batch_size(1);
  EXPECT_EQ(error(), "");
}

TEST_F(ManifestTest, LengthsThatDoNotSuitTheModes_AreNamedByEntry) {
  write_split("name,seqres\ngood,ACDE\nshort,ACD\n");
  write_replicas("good", 5, 4);
  write_replicas("short", 5, 3);
  EXPECT_EQ(error(), "");
  spec_.mutable_model()->set_inpainting(true);
  EXPECT_THAT(error(), HasSubstr(train_file() + ", line 3 (short): 3 residues (crop = 8); inpainting needs"));
  EXPECT_THAT(error(), Not(HasSubstr("(good)")));
}

TEST_F(ManifestTest, AllProblemsAtOnce_FirstTwentyInFull) {
  std::string text = "name,seqres\n";
  for (int i = 0; i < 27; ++i) text += "p" + std::to_string(i) + ",AC\n";
  write_split(text);
  const std::string message = error();
  EXPECT_THAT(message, HasSubstr("the data set has 27 problems:"));
  EXPECT_THAT(message, HasSubstr("line 2 (p0): none of p0_R1.npy, _R2, _R3 is in"));
  EXPECT_THAT(message, HasSubstr("(p19)"));
  EXPECT_THAT(message, Not(HasSubstr("(p20)")));
  EXPECT_THAT(message, HasSubstr("and 7 more"));
}

TEST_F(ManifestTest, OneSplitForBoth_SaysEachThingOnce) {
  spec_.mutable_loop()->set_no_validate(false);
  spec_.mutable_data()->set_val_split(train_file());
  write_split("name,seqres\np1,AC\n");
  EXPECT_THAT(error(), HasSubstr("the data set has 1 problem:"));
  write_array("p1_R2.npy", {6, 2, 14, 3});
  EXPECT_EQ(build_manifest(spec_).warnings.size(), 1U);
}

}  // namespace
}  // namespace mdgen::data
