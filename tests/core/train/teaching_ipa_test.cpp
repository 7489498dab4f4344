#include "core/train/teaching_ipa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/format/npy.h"
#include "core/train/gradient_check.h"
#include "core/train/model_table.h"
#include "tests/support/temp_dir.h"

namespace mdgen::train {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FlowTimeText, IsTheShortestDecimalThatReadsBack) {
  EXPECT_EQ(flow_time_text(0.25F), "0.25");
  EXPECT_EQ(flow_time_text(0.1F), "0.1");
  EXPECT_EQ(flow_time_text(0.1), "0.1");
  EXPECT_EQ(flow_time_text(1.0F), "1.0");
  EXPECT_EQ(flow_time_text(0.0F), "0.0");
  EXPECT_EQ(flow_time_text(0.0001F), "0.0001");
  EXPECT_EQ(flow_time_text(1e-5F), "1e-05");
  EXPECT_EQ(flow_time_text(0.54881352F), "0.5488135");
  for (const float t : {0.3F, 0.7182818F, 1e-3F, 0.99999994F, 3.3e-7F}) {
    EXPECT_EQ(std::stof(flow_time_text(t)), t);
  }
}

at::Tensor read_values(const std::filesystem::path& file, std::vector<std::int64_t>& shape) {
  const format::NpyHeader header = format::read_npy_header(file.string());
  EXPECT_EQ(header.dtype, "<f4");
  shape = header.shape;
  const std::string bytes = read_file(file);
  at::Tensor values = at::empty(header.shape, at::kFloat);
  EXPECT_GE(bytes.size(), values.nbytes());
  std::memcpy(values.data_ptr(), bytes.data() + bytes.size() - values.nbytes(), values.nbytes());
  return values;
}

TEST(TeachingIpa, WritesEachSampleWithoutItsPadding) {
  const mdgen::testing::TempDir folder;
  TeachingIpa files(folder / "new" / "ipa", 0);
  const at::Tensor output = at::arange(2 * 3 * 4, at::kDouble).view({2, 3, 4});
  const at::Tensor mask = at::tensor({1.0F, 1.0F, 0.0F, 1.0F, 1.0F, 1.0F}).view({2, 3});
  files.write(at::tensor({0.5F, 0.125F}), output, mask);
  EXPECT_EQ(files.written(), 2);
  std::vector<std::int64_t> shape;
  const at::Tensor first = read_values(folder / "new" / "ipa" / "0.5.npy", shape);
  EXPECT_THAT(shape, ElementsAre(1, 2, 4));
  EXPECT_TRUE(at::equal(first[0], output[0].narrow(0, 0, 2).to(at::kFloat)));
  const at::Tensor second = read_values(folder / "new" / "ipa" / "0.125.npy", shape);
  EXPECT_THAT(shape, ElementsAre(1, 3, 4));
  EXPECT_TRUE(at::equal(second[0], output[1].to(at::kFloat)));
}

TEST(TeachingIpa, StopsAtTheLimit) {
  const mdgen::testing::TempDir folder;
  TeachingIpa files(folder / "ipa", 3);
  for (const float t : {0.1F, 0.3F, 0.5F}) {
    files.write(at::tensor({t, t + 0.1F}), at::zeros({2, 1, 2}), at::ones({2, 1}));
  }
  EXPECT_EQ(files.written(), 3);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "ipa"), {}), 3);
}

TEST(TeachingIpa, AFileInTheWay_IsNoError) {
  const mdgen::testing::TempDir folder;
  write_file_synced(folder / "ipa", "in the way");
  TeachingIpa files(folder / "ipa", 0);
  EXPECT_NO_THROW(files.write(at::tensor({0.5F}), at::zeros({1, 1, 2}), at::ones({1, 1})));
  EXPECT_EQ(files.written(), 0);
}

NamedTensors parameters(const std::vector<bool>& reached) {
  NamedTensors tensors;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    at::Tensor tensor = at::zeros({2}).requires_grad_();
    if (reached[i]) tensor.mutable_grad() = at::zeros({2});
    tensors.emplace_back("p" + std::to_string(i), tensor);
  }
  return tensors;
}

TEST(GradientCheck, TellsOfAParameterOnceUntilTheSetChanges) {
  GradientCheck check;
  EXPECT_THAT(check.news(parameters({true, false, false})), ElementsAre("p1", "p2"));
  EXPECT_THAT(check.news(parameters({true, false, false})), IsEmpty());
  EXPECT_THAT(check.news(parameters({true, true, false})), ElementsAre("p2"));
  EXPECT_THAT(check.news(parameters({true, true, true})), IsEmpty());
  EXPECT_THAT(check.news(parameters({false, true, true})), ElementsAre("p0"));
}

// As get_human_readable_count of Lightning 2.0.4 gives them.
TEST(ModelTable, CountsAreReadable) {
  EXPECT_EQ(readable_count(0), "0  ");
  EXPECT_EQ(readable_count(950), "950  ");
  EXPECT_EQ(readable_count(4200), "4.2 K");
  EXPECT_EQ(readable_count(123456), "123 K");
  EXPECT_EQ(readable_count(34150000), "34.1 M");
  EXPECT_EQ(readable_count(2'000'000'000), "2.0 B");
}

TEST(ModelTable, HasALineAModuleAndTheTotals) {
  const auto lines =
      model_table({{"model", "LatentModel", 4200}, {"model.layers", "ModuleList", 950}}, 4000, 4200, 4);
  EXPECT_THAT(
      lines, ElementsAre("  | Name         | Type        | Params", "---------------------------------------",
                         "0 | model        | LatentModel |  4.2 K", "1 | model.layers | ModuleList  |  950  ",
                         "---------------------------------------", "4.0 K     Trainable params",
                         "200       Non-trainable params", "4.2 K     Total params",
                         "0.017     Total estimated model params size (MB)"));
}

}  // namespace
}  // namespace mdgen::train
