#include "core/data/manifest_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "core/base/error.h"
#include "core/data/manifest.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr const char* kText = R"({"train": {"entries": [{"name": "1abc_A", "seqres": "GAV", "residues": 3,
  "replicas": [{"index": 1, "file": "1abc_A_R1.npy", "frames": 250, "dtype": "<f2", "bytes": 63128,
                "mtime_ns": 1795440000123456789}]}], "digest": "x"}, "val": {"digest": "y"}, "digest": "z"})";

struct ManifestFile : ::testing::Test {
  void write(const std::string& text) const { std::ofstream(folder / kManifestFile) << text; }
  std::string error(const std::string& digest, ErrorCode code) const {
    try {
      read_manifest(folder.path(), digest);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "";
  }
  // Of what kText says.
  std::string digest() const {
    v1::JobManifest manifest;
    auto& entry = *manifest.mutable_train()->add_entries();
    entry.set_name("1abc_A");
    entry.set_seqres("GAV");
    entry.set_residues(3);
    auto& replica = *entry.add_replicas();
    replica.set_index(1);
    replica.set_file("1abc_A_R1.npy");
    replica.set_frames(250);
    replica.set_dtype("<f2");
    replica.set_bytes(63128);
    return job_manifest_digest(manifest);
  }
  testing::TempDir folder;
};

TEST_F(ManifestFile, IsReadAndItsDigestRecomputed) {
  write(kText);
  const v1::JobManifest manifest = read_manifest(folder.path(), digest());
  ASSERT_EQ(manifest.train().entries_size(), 1);
  EXPECT_EQ(manifest.train().entries(0).seqres(), "GAV");
  EXPECT_EQ(manifest.train().entries(0).replicas(0).mtime_ns(), 1795440000123456789);
}

TEST_F(ManifestFile, WhatIsNotTheJobsIsRefused) {
  EXPECT_THAT(error(digest(), ErrorCode::kNotFound), HasSubstr(folder / kManifestFile));
  write(kText);
  EXPECT_THAT(error("0123", ErrorCode::kDataLoss), HasSubstr("0123"));
  const std::string text = kText;
  write(text.substr(0, text.size() / 2));
  EXPECT_THAT(error(digest(), ErrorCode::kDataLoss), HasSubstr("is not a manifest"));
  std::string changed = text;
  write(changed.replace(changed.find("250"), 3, "251"));
  EXPECT_THAT(error(digest(), ErrorCode::kDataLoss), HasSubstr("was changed"));
}

TEST_F(ManifestFile, IsAwaited) {
  std::vector<std::chrono::milliseconds> pauses;
  const auto later = [&](std::chrono::milliseconds pause) {
    pauses.push_back(pause);
    if (pauses.size() == 2) write(kText);
  };
  EXPECT_EQ(await_manifest(folder.path(), digest(), 5, 500ms, later).train().entries_size(), 1);
  EXPECT_EQ(pauses, std::vector(2, 500ms));
  pauses.clear();
  EXPECT_THROW(await_manifest(folder.path(), "0123", 4, 500ms, later), Error);
  EXPECT_EQ(pauses.size(), 3u) << "four attempts";
}

}  // namespace
}  // namespace mdgen::data
