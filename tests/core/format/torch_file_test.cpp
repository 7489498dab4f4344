#include "core/format/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temp_dir.h"

namespace mdgen::format {
namespace {

using Kind = PickleValue::Kind;
using ::testing::HasSubstr;

std::vector<std::byte> floats(std::initializer_list<float> values) {
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// {"weights": OrderedDict(a=tensor (2, 2)), "args": Namespace(name="x", steps=None), "epoch": 3}
PickleTree small_tree() {
  PickleTree tree;
  PickleValue& root = tree.dict();
  PickleValue& weights = tree.dict(Kind::kOrderedDict);
  tree.put(weights, "a", tree.tensor({"0", "F32", 4, 0, {2, 2}, {2, 1}}));
  PickleValue& args = tree.dict(Kind::kNamespace);
  tree.put(args, "name", tree.text("x"));
  tree.put(args, "steps", tree.none());
  tree.put(root, "weights", weights);
  tree.put(root, "args", args);
  tree.put(root, "epoch", tree.integer(3));
  tree.put(root, 5, tree.sequence(Kind::kList, {&tree.real(0.5), &tree.boolean(true)}));
  tree.root = &root;
  return tree;
}

TEST(Pickle, WrittenAndRead_IsTheSame) {
  const std::string pickled = write_pickle(*small_tree().root);
  const PickleTree read = read_pickle(as_bytes(pickled), "here");
  EXPECT_EQ(write_pickle(*read.root), pickled);
  EXPECT_EQ(read.root->find("epoch")->integer, 3);
  EXPECT_EQ(read.root->find("args")->find("name")->text, "x");
  EXPECT_TRUE(read.root->find("args")->find("steps")->is(Kind::kNone));
  EXPECT_EQ(read.root->find(5)->items.at(0)->real, 0.5);
  EXPECT_EQ(read.root->find("absent"), nullptr);
  EXPECT_EQ(read.root->find("weights")->find("a")->tensor->shape, (std::vector<std::int64_t>{2, 2}));
}

TEST(Pickle, KeyGivenTwice_TheLastWins) {
  PickleTree tree;
  PickleValue& dict = tree.dict();
  tree.put(dict, "a", tree.integer(1));
  tree.put(dict, "a", tree.integer(2));
  EXPECT_EQ(dict.find("a")->integer, 2);
}

// Every single changed byte and every truncation of a pickle ends in an Error or in values, and in nothing
// else.
TEST(Pickle, DamagedAnywhere_IsRefusedOrRead) {
  const std::string pickled = write_pickle(*small_tree().root);
  std::size_t refused = 0;
  const auto attempt = [&](const std::string& text) {
    try {
      read_pickle(as_bytes(text), "here");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
      ++refused;
    }
  };
  for (std::size_t at = 0; at < pickled.size(); ++at) {
    attempt(pickled.substr(0, at));
    for (int value = 0; value < 256; ++value) {
      std::string changed = pickled;
      changed[at] = static_cast<char>(value);
      attempt(changed);
    }
  }
  EXPECT_GT(refused, pickled.size());
}

TEST(Pickle, RandomBytes_AreRefusedOrRead) {
  std::mt19937 random(7);
  constexpr char kOpcodes[] =
      "(.0123NJKMGXTUBC]laet})dsu}qrhjcQRb\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8f\x90\x91\x93\x94";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "\x80\x02";
    for (unsigned length = random() % 60; length > 0; --length)
      text += random() % 4 != 0 ? kOpcodes[random() % (sizeof(kOpcodes) - 1)] : static_cast<char>(random());
    try {
      read_pickle(as_bytes(text + "."), "here");
    } catch (const Error&) {
    }
  }
}

class TorchFileTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  const std::filesystem::path file_ = dir_.path() / "a.ckpt";
  const std::vector<std::byte> data_ = floats({1, 2, 3, 4});
};

TEST_F(TorchFileTest, WrittenAndRead_IsTheSame) {
  write_torch_file(file_, *small_tree().root, std::vector<TorchStorage>{{"0", data_}});
  TorchFile read(file_);
  EXPECT_EQ(*read.bytes(*read.root().find("weights")->find("a")->tensor), data_);
}

TEST_F(TorchFileTest, ViewsOfOneStorage_ShareIt_OthersAreGathered) {
  write_torch_file(file_, *small_tree().root, std::vector<TorchStorage>{{"0", data_}});
  TorchFile read(file_);
  const PickledTensor whole{"0", "F32", 4, 0, {2, 2}, {2, 1}};
  EXPECT_EQ(read.bytes(whole), read.bytes({"0", "F32", 4, 0, {4}, {1}}));
  EXPECT_EQ(*read.bytes({"0", "F32", 4, 0, {2, 2}, {1, 2}}), floats({1, 3, 2, 4}));
  EXPECT_EQ(*read.bytes({"0", "F32", 4, 1, {2}, {2}}), floats({2, 4}));
  EXPECT_EQ(read.bytes({"0", "F32", 4, 4, {0, 3}, {3, 1}})->size(), 0U);
}

TEST_F(TorchFileTest, OverlappingViewsWithoutEnd_AreRefused) {
  write_torch_file(file_, *small_tree().root, std::vector<TorchStorage>{{"0", data_}});
  TorchFile read(file_);
  const PickledTensor part{"0", "F32", 4, 1, {3}, {1}};
  EXPECT_THROW(
      {
        for (int i = 0; i < 1'000'000; ++i) read.bytes(part);
      },
      Error);
}

// Every truncation and single damaged byte of a small file is refused, or read without a crash.
TEST_F(TorchFileTest, DamagedAnywhere_IsRefusedOrRead) {
  write_torch_file(file_, *small_tree().root, std::vector<TorchStorage>{{"0", data_}});
  const std::string good = read_file(file_);
  std::size_t refused = 0;
  const std::filesystem::path other = dir_.path() / "b.ckpt";
  const auto attempt = [&](const std::string& bytes) {
    std::filesystem::remove(other);
    write_file_synced(other, bytes);
    try {
      TorchFile file(other);
      if (const PickleValue* weights = file.root().find("weights"))
        if (const PickleValue* a = weights->find("a"); a != nullptr && a->is(Kind::kTensor))
          file.bytes(*a->tensor);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(other.string()));
      ++refused;
    }
  };
  for (std::size_t at = 0; at < good.size(); at += 3) {
    attempt(good.substr(0, at));
    std::string changed = good;
    changed[at] = static_cast<char>(~changed[at]);
    attempt(changed);
  }
  EXPECT_GT(refused, good.size() / 3);
}

TEST_F(TorchFileTest, OlderFile_IsReplacedWhole) {
  write_file_synced(file_, "something else");
  write_torch_file(file_, *small_tree().root, std::vector<TorchStorage>{{"0", data_}});
  EXPECT_NO_THROW(TorchFile{file_});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

TEST_F(TorchFileTest, FolderThatIsNotThere_IsNamed) {
  try {
    write_torch_file(dir_.path() / "absent" / "a.ckpt", *small_tree().root, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("absent/a.ckpt cannot be written"));
  }
}

}  // namespace
}  // namespace mdgen::format
