#include "core/data/content_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/array_check.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ContentCheckTest : public ::testing::Test {
 protected:
  ContentCheckTest() {
    for (const char* name : {"p1", "p2", "p3"}) add(*manifest_.mutable_train(), name);
    *manifest_.mutable_val()->add_entries() = manifest_.train().entries(0);
  }
  void write(const std::string& name, std::uint16_t value) const {
    const std::vector<std::uint16_t> values(std::size_t{2} * 900 * 42, value);
    const std::vector<std::int64_t> shape = {2, 900, 14, 3};
    format::write_npy(folder_ / (name + ".npy"), "<f2", shape, std::as_bytes(std::span(values)));
  }
  void add(v1::Manifest& manifest, const std::string& name) {
    write(name, 1);
    v1::ManifestEntry& entry = *manifest.add_entries();
    entry.set_residues(900);
    v1::Replica& replica = *entry.add_replicas();
    replica.set_file(name + ".npy");
    describe_array(format::NpyFile(folder_ / (name + ".npy")), replica);
  }
  // One value between the probed pieces; size and times stay.
  void touch_a_value(const std::string& name) {
    const fs::path file = folder_ / (name + ".npy");
    const auto time = fs::last_write_time(file);
    std::string bytes = read_file(file);
    bytes[20'000] ^= 1;
    replace_file(file, bytes);
    fs::last_write_time(file, time);
  }
  ContentCheck check(const DigestList& recorded = {}) const {
    return check_content(folder_.path(), manifest_, recorded, 2);
  }

  mdgen::testing::TempDir folder_;
  v1::JobManifest manifest_;
};

TEST_F(ContentCheckTest, EachArrayOnce) {
  const ContentCheck first = check();
  EXPECT_THAT(first.problems, IsEmpty());
  EXPECT_EQ(first.arrays, 3);
  EXPECT_EQ(first.bytes, 3 * manifest_.train().entries(0).replicas(0).bytes());
  EXPECT_EQ(first.as_recorded, 0);
  EXPECT_EQ(first.digests.at("p2.npy"), sha256_file(folder_ / "p2.npy"));
  const ContentCheck second = check(first.digests);
  EXPECT_EQ(second.as_recorded, 3);
  EXPECT_EQ(second.digest(), first.digest());
}

TEST_F(ContentCheckTest, AValueThatNoProbeSees_IsFound) {
  const ContentCheck before = check();
  touch_a_value("p2");
  EXPECT_NO_THROW(
      check_unchanged(format::NpyFile(folder_ / "p2.npy"), manifest_.train().entries(1).replicas(0), 900));
  const ContentCheck after = check(before.digests);
  EXPECT_THAT(after.problems,
              ElementsAre(HasSubstr("p2.npy: SHA-256 " + sha256_file(folder_ / "p2.npy") +
                                    ", when it was recorded " + before.digests.at("p2.npy"))));
  EXPECT_EQ(after.as_recorded, 2);
  EXPECT_NE(after.digest(), before.digest());
}

TEST_F(ContentCheckTest, PrepsRecord_IsCompared) {
  fs::create_directory(folder_ / ".mdgen-prep");
  const auto record = [&](const std::string& text) {
    replace_file(folder_ / ".mdgen-prep" / "p1.npy.json", text);
  };
  record("{\"array_sha256\": \"" + sha256_file(folder_ / "p1.npy") + "\"}");
  EXPECT_EQ(check().as_prep_wrote, 1);
  touch_a_value("p1");
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("when mdgen-prep wrote it")));
  record("no JSON");
  EXPECT_THAT(check().problems, ElementsAre(HasSubstr("p1.npy: ")));
}

TEST_F(ContentCheckTest, AbsentAndChangedArrays_AreNamed) {
  fs::remove(folder_ / "p1.npy");
  fs::resize_file(folder_ / "p3.npy", 1000);
  EXPECT_THAT(check().problems,
              ElementsAre(HasSubstr("p1.npy: cannot open: No such file"), HasSubstr("p3.npy: truncated")));
  EXPECT_EQ(check().digests.size(), 1U);
}

TEST(DigestListTest, ReadsWhatSha256sumWrites) {
  const std::string digest(64, 'a');
  const DigestList list = {{"a b.npy", digest}, {"c.npy", std::string(64, '0')}};
  EXPECT_EQ(parse_digest_list(digest_list_text(list), "f"), list);
  EXPECT_EQ(parse_digest_list(digest + " *c.npy\n", "f").at("c.npy"), digest);
  for (const std::string& bad : {digest + "\n", digest + "c.npy\n", std::string(64, 'G') + "  c.npy\n",
                                 digest + "  c.npy\n" + digest + "  c.npy\n"})
    EXPECT_THROW(parse_digest_list(bad, "f"), Error) << bad;
}

}  // namespace
}  // namespace mdgen::data
