#include "core/format/safetensors.h"

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
using ::testing::Pair;

std::string container(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\0');
}

class SafetensorsTest : public ::testing::Test {
 protected:
  std::filesystem::path put(const std::string& bytes) {
    replace_file(dir_ / "a.safetensors", bytes);
    return dir_ / "a.safetensors";
  }
  void expect_refused(const std::string& bytes, const std::string& reason) {
    const std::filesystem::path file = put(bytes);
    try {
      SafetensorsFile opened(file);
      FAIL() << "accepted; expected: " << reason;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(reason));
      EXPECT_THAT(error.what(), HasSubstr(file.string()));
    }
  }
  testing::TempDir dir_;
};

TEST_F(SafetensorsTest, WhatIsWrittenIsRead) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> b = {7};
  const std::vector<TensorBytes> tensors = {{"z.weight", "F32", {2, 3}, std::as_bytes(std::span(a))},
                                            {"count", "I64", {}, std::as_bytes(std::span(b))},
                                            {"empty", "F32", {0, 3}, {}}};
  write_safetensors(dir_ / "f", tensors, {{"step", "12"}, {"quote", "\"ä\n"}});
  SafetensorsFile file(dir_ / "f");
  EXPECT_THAT(file.metadata(), ElementsAre(Pair("quote", "\"ä\n"), Pair("step", "12")));
  EXPECT_EQ(file.tensors().size(), 3U);
  EXPECT_THAT(file.tensors().at("z.weight").shape, ElementsAre(2, 3));
  EXPECT_EQ(file.tensors().at("count").dtype, "I64");
  EXPECT_TRUE(file.tensors().at("count").shape.empty());
  EXPECT_EQ(std::memcmp(file.bytes("z.weight").data(), a.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file.bytes("count").data(), b.data(), 8), 0);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.bytes("z.weight").data()) % 64, 0U);
  EXPECT_THROW(file.bytes("absent"), Error);
}

TEST_F(SafetensorsTest, NothingIsOverwritten) {
  write_safetensors(dir_ / "f", {}, {});
  EXPECT_THROW(write_safetensors(dir_ / "f", {}, {}), Error);
  EXPECT_TRUE(SafetensorsFile(dir_ / "f").tensors().empty());
}

TEST_F(SafetensorsTest, WriteRefusesWrongSizesAndTakenNames) {
  const std::vector<std::byte> four(4);
  const std::vector<TensorBytes> short_one = {{"a", "F32", {2}, four}};
  EXPECT_THROW(write_safetensors(dir_ / "f", short_one, {}), Error);
  const std::vector<TensorBytes> twice = {{"a", "F32", {1}, four}, {"a", "F32", {1}, four}};
  EXPECT_THROW(write_safetensors(dir_ / "f", twice, {}), Error);
  const std::vector<TensorBytes> reserved = {{"__metadata__", "F32", {1}, four}};
  EXPECT_THROW(write_safetensors(dir_ / "f", reserved, {}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(SafetensorsTest, CorruptFilesAreRefused) {
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::string b = R"("b":{"dtype":"I16","shape":[2,1],"data_offsets":[8,12]})";
  ASSERT_NO_THROW(SafetensorsFile(put(container("{" + b + "," + a + "}", 12))));
  expect_refused("", "shorter than a safetensors header");
  expect_refused(container("{}", 0).substr(0, 9), "header ends early");
  expect_refused(std::string(8, '\xff') + "{}", "too large");
  expect_refused(container("[]", 0), "not a JSON object");
  expect_refused(container("{\"a\":", 0), "not a JSON object");
  expect_refused(container("{\"a\":\xff}", 0), "not a JSON object");
  expect_refused(container("{" + a + "}", 7), "truncated");
  expect_refused(container("{" + a + "}", 9), "belong to none");
  expect_refused(container("{" + a + "," + a + "}", 8), "appears twice");
  expect_refused(container("{" + b + "}", 12), "hole before tensor 'b'");
  expect_refused(container("{" + a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
                 "tensor 'b' overlaps");
}

TEST_F(SafetensorsTest, BadEntriesAreRefusedByName) {
  const auto entry = [](const std::string& body) { return container("{\"w\":" + body + "}", 8); };
  expect_refused(entry("7"), "tensor 'w': not a JSON object");
  expect_refused(entry(R"({"dtype":"F32","shape":[2]})"), "tensor 'w': expected dtype");
  expect_refused(entry(R"({"dtype":"F31","shape":[2],"data_offsets":[0,8]})"), "unknown dtype 'F31'");
  expect_refused(entry(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "at least 0");
  expect_refused(entry(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,8]})"), "at least 0");
  expect_refused(entry(R"({"dtype":"F32","shape":"2","data_offsets":[0,8]})"), "tensor 'w'");
  expect_refused(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), "two integers");
  expect_refused(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "ends before it begins");
  expect_refused(entry(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "shape and dtype need 12");
  expect_refused(entry(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})"),
                 "too large");
  expect_refused(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), "nothing else");
  expect_refused(container(R"({"__metadata__":{"k":1}})", 0), "metadata 'k' is not text");
}

}  // namespace
}  // namespace mdgen::format
