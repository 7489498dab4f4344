#include "core/format/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file as NumPy writes it, but for what the test spoils.
std::string npy(const std::string& dictionary, std::size_t data_bytes, char version = 1) {
  std::string text = dictionary + "\n";
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return bytes + text + std::string(data_bytes, '\1');
}

class NpyTest : public ::testing::Test {
 protected:
  std::filesystem::path put(const std::string& bytes) {
    replace_file(dir_ / "a.npy", bytes);
    return dir_ / "a.npy";
  }
  void expect_refused(const std::string& bytes, const std::string& reason) {
    const std::filesystem::path file = put(bytes);
    try {
      NpyArray array(file);
      FAIL() << "accepted; expected: " << reason;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(reason));
      EXPECT_THAT(error.what(), HasSubstr(file.string()));
    }
  }
  testing::TempDir dir_;
};

TEST_F(NpyTest, WhatIsWrittenIsRead) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> shape = {2, 3};
  write_npy(dir_ / "a.npy", "<f4", shape, std::as_bytes(std::span(values)));
  NpyArray array(dir_ / "a.npy");
  EXPECT_EQ(array.header().dtype, "<f4");
  EXPECT_THAT(array.header().shape, ElementsAre(2, 3));
  EXPECT_EQ(array.header().data_offset % 64, 0U);
  EXPECT_EQ(std::memcmp(array.data(), values.data(), 24), 0);
  NpyArray moved = std::move(array);
  EXPECT_EQ(std::memcmp(moved.data(), values.data(), 24), 0);
}

TEST_F(NpyTest, ScalarsVectorsAndEmptyArrays) {
  const std::vector<std::int64_t> shapes[] = {{}, {1}, {0, 14, 3}};
  for (const auto& shape : shapes) {
    const std::vector<std::byte> data(shape.size() == 3 ? 0 : 4);
    write_npy(dir_ / "a.npy", "<f4", shape, data);
    EXPECT_EQ(NpyArray(dir_ / "a.npy").header().shape, shape);
  }
}

TEST_F(NpyTest, HeaderVariants) {
  put(npy("{'shape':(2,3),\"descr\": '<f2' , 'fortran_order':False}   ", 12, 2));
  EXPECT_THAT(NpyArray(dir_ / "a.npy").header().shape, ElementsAre(2, 3));
  put(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", 5, 3));
  EXPECT_EQ(NpyArray(dir_ / "a.npy").header().item_size, 1U);
}

TEST_F(NpyTest, CorruptFilesAreRefused) {
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
  ASSERT_NO_THROW(NpyArray(put(good)));
  expect_refused("", "empty: 0 bytes");
  expect_refused("PK\3\4 and the rest of a zip archive", "not an .npy file");
  expect_refused(good.substr(0, 9), "truncated");
  expect_refused(good.substr(0, 30), "truncated");
  expect_refused(good.substr(0, good.size() - 1), "truncated: 23 bytes of data, 24 expected");
  expect_refused(good + "x", "longer than its header says");
  std::string version = good;
  version[6] = 9;
  expect_refused(version, "unknown .npy version 9.0");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", 24), "'}' missing");
  expect_refused(npy("{'descr': '<f4', 'shape': (2, 3)}", 24), "lacks");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", 24), "neither True nor False");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", 24), "not a number");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x", 24), "text after");
  expect_refused(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24),
                 "twice");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 9)}", 24),
                 "too large");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 24),
                 "too large");
}

TEST_F(NpyTest, UnreadableKindsAreRefused) {
  expect_refused(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8), "object arrays");
  expect_refused(npy("{'descr': '|O8', 'fortran_order': False, 'shape': (1,)}", 8), "object arrays");
  expect_refused(npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", 16), "unknown dtype '<U4'");
  expect_refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4), "structured");
  expect_refused(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4), "big-endian");
  expect_refused(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", 24), "Fortran order");
}

TEST_F(NpyTest, HeaderOfAFortranArrayIsReadable) {
  put(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", 24));
  EXPECT_TRUE(read_npy_header(dir_ / "a.npy").fortran_order);
}

TEST_F(NpyTest, AbsentFile) { EXPECT_THROW(NpyArray(dir_ / "absent.npy"), Error); }

TEST_F(NpyTest, WriteRefusesDataThatDoNotFillTheShape) {
  const std::vector<std::int64_t> shape = {2, 3};
  EXPECT_THROW(write_npy(dir_ / "a.npy", "<f4", shape, std::vector<std::byte>(23)), Error);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

}  // namespace
}  // namespace mdgen::format
