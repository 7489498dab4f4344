#include "core/data/window_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/data/array_check.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFrames = 7;
constexpr std::int32_t kResidues = 5;

std::size_t position(std::int64_t frame, std::int64_t residue, std::int64_t atom, std::int64_t axis = 0) {
  return static_cast<std::size_t>(((frame * kResidues + residue) * 14 + atom) * 3 + axis);
}

class ReadBlockTest : public ::testing::Test {
 protected:
  ReadBlockTest() : values_(position(kFrames, 0, 0)) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(i % 2048) / 8 + 1;
    write();
  }

  void write(const std::string& dtype = "<f4") {
    const std::vector<std::int64_t> shape = {kFrames, kResidues, 14, 3};
    std::vector<std::uint16_t> halves;
    for (const float value : values_) halves.push_back(format::float_to_half(value));
    format::write_npy(file_, dtype, shape,
                      dtype == "<f2" ? std::as_bytes(std::span(halves)) : std::as_bytes(std::span(values_)));
    replica_.set_file("p.npy");
    replica_.set_frames(kFrames);
    replica_.set_dtype(dtype);
    replica_.set_bytes(static_cast<std::int64_t>(std::filesystem::file_size(file_)));
  }
  std::vector<float> read(const Block& block) const { return read_block(file_, replica_, kResidues, block); }
  std::string error(ErrorCode code = ErrorCode::kDataLoss, const Block& block = {2, 3, 1, 4}) const {
    try {
      read(block);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    return "";
  }

  testing::TempDir folder_;
  std::string file_ = folder_ / "p.npy";
  std::vector<float> values_;
  v1::Replica replica_;
};

TEST_F(ReadBlockTest, EveryBlock_IsTheArraysPart) {
  for (const std::string dtype : {"<f4", "<f2"}) {
    write(dtype);
    for (std::int64_t first = 0; first < kFrames; ++first) {
      for (std::int64_t frames = 1; first + frames <= kFrames; ++frames) {
        for (std::int32_t residue = 0; residue < kResidues; ++residue) {
          for (std::int32_t residues = 1; residue + residues <= kResidues; ++residues) {
            const std::vector<float> got = read({first, frames, residue, residues});
            std::vector<float> expected;
            for (std::int64_t t = first; t < first + frames; ++t)
              expected.insert(expected.end(), &values_[position(t, residue, 0)],
                              &values_[position(t, residue, 0)] + std::ptrdiff_t{residues} * 42);
            ASSERT_EQ(got, expected);
          }
        }
      }
    }
  }
}

TEST_F(ReadBlockTest, NotFinite_NamesFrameAndResidue) {
  values_[position(4, 3, 11, 2)] = std::numeric_limits<float>::quiet_NaN();
  write();
  EXPECT_EQ(error(), file_ + ": a coordinate is not finite in frame 4, residue 4");
  EXPECT_EQ(error(ErrorCode::kDataLoss, {0, 4, 0, 5}), "");  // outside the block
  values_[position(4, 3, 11, 2)] = std::numeric_limits<float>::infinity();
  write("<f2");
  EXPECT_THAT(error(), HasSubstr("not finite in frame 4, residue 4"));
}

TEST_F(ReadBlockTest, AbsentBackboneAtom_NamesFrameAndResidue) {
  const std::vector<float> whole = values_;
  for (const std::int64_t atom : {0, 1, 2}) {
    values_ = whole;
    for (const std::int64_t axis : {0, 1, 2}) values_[position(3, 2, atom, axis)] = 0;
    write();
    EXPECT_EQ(error(), file_ + ": no N, CA or C (all zeros) in frame 3, residue 3");
  }
  for (std::int64_t i = 0; i < 42; ++i) values_[position(3, 2, 0) + static_cast<std::size_t>(i)] = 0;
  write();
  EXPECT_THAT(error(), HasSubstr("no N, CA or C"));
}

TEST_F(ReadBlockTest, AtomAtTheOrigin_IsNotAbsent) {
  const std::vector<std::vector<float>> residue = {{-0.5F, 1.4F, 0}, {0, 0, 0}, {1.5F, 0, 0}};
  for (std::size_t atom = 0; atom < 3; ++atom) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      values_[position(3, 2, static_cast<std::int64_t>(atom), static_cast<std::int64_t>(axis))] =
          residue[atom][axis];
  }
  write();
  EXPECT_EQ(error(), "");
}

TEST_F(ReadBlockTest, FileThatChanged_IsRefused) {
  const auto size = std::filesystem::file_size(file_);
  std::filesystem::resize_file(file_, size - 4);
  EXPECT_THAT(error(), HasSubstr(file_ + ": truncated: 5876 bytes of data, 5880 expected"));
  const auto write_shape = [&](std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const std::int64_t dimension : shape) count *= static_cast<std::size_t>(dimension);
    format::write_npy(file_, "<f4", shape, std::as_bytes(std::span(values_).first(count)));
  };
  write_shape({kFrames - 1, kResidues, 14, 3});
  EXPECT_EQ(error(), file_ + ": has 5168 bytes, " + std::to_string(size) + " when the manifest was made");
  write_shape({kResidues, kFrames, 14, 3});
  EXPECT_THAT(error(), HasSubstr("shape or dtype is not what it was"));
  std::filesystem::remove(file_);
  EXPECT_THAT(error(ErrorCode::kNotFound), HasSubstr(file_ + ": cannot open: No such file"));
}

TEST_F(ReadBlockTest, SameSizeAnotherTime_IsComparedByContent) {
  describe_array(format::NpyFile(file_), replica_);
  EXPECT_EQ(error(), "");
  const auto later = std::filesystem::last_write_time(file_) + std::chrono::hours(1);
  std::filesystem::last_write_time(file_, later);
  EXPECT_EQ(error(), "") << "touched, or a copy";

  values_[position(6, 4, 13, 2)] += 1;
  const v1::Replica before = replica_;
  write();
  replica_ = before;
  std::filesystem::last_write_time(file_, later);
  EXPECT_THAT(error(), HasSubstr(file_ + ": was modified after the manifest was made"));
  replica_.set_mtime_ns(0);
  EXPECT_EQ(error(), "") << "a manifest of before times were kept";
}

TEST_F(ReadBlockTest, OutsideTheArray_IsAnInternalError) {
  EXPECT_THAT(error(ErrorCode::kInternal, {5, 3, 0, 5}), HasSubstr("outside the array"));
  EXPECT_THAT(error(ErrorCode::kInternal, {0, 1, 2, 4}), HasSubstr("outside the array"));
  EXPECT_THAT(error(ErrorCode::kInternal, {0, 0, 0, 5}), HasSubstr("outside the array"));
}

}  // namespace
}  // namespace mdgen::data
