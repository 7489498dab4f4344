#include <gtest/gtest.h>

#include <cstring>

#include "core/format/npy.h"
#include "core/sample/program/arrays.h"
#include "core/sample/program/tasks.h"
#include "core/sample/start.h"
#include "drawn_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace mdgen::sample {
namespace {

constexpr std::int64_t kFrames = 5;

class SimulateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    const at::Tensor ca = at::arange(4).view({1, 4, 1, 1}) * 3.8;
    const at::Tensor atom14 = (ca + torch::randn({2, 4, 14, 3})).contiguous();
    const std::vector<std::int64_t> shape = atom14.sizes().vec();
    format::write_npy(dir_ / "x.npy", "<f4", shape,
                      {static_cast<const std::byte*>(atom14.data_ptr()), atom14.nbytes()});
    const std::string folder = dir_.path().string();
    testing::write_drawn_checkpoint(
        dir_ / "run", {"--sim_condition", "--prepend_ipa", "--embed_dim", "16", "--num_layers", "1",
                       "--mha_heads", "2", "--ipa_heads", "2", "--ipa_head_dim", "4", "--train_split",
                       folder + "/no.csv", "--val_split", folder + "/no.csv", "--data_dir", folder});
  }

  Options options() const {
    Options options;
    options.checkpoint = dir_ / "run";
    options.out_dir = dir_ / "out";
    options.num_frames = kFrames;
    options.num_rollouts = 2;
    options.npy = true;
    options.threads = 1;
    options.sampling_method = "euler";
    options.ode_steps = 3;
    return options;
  }

  at::Tensor written() const {
    const format::NpyArray array(dir_ / "out/x.npy");
    const at::Tensor frames = at::empty(array.header().shape);
    std::memcpy(frames.data_ptr(), array.data(), frames.nbytes());
    return frames;
  }

  at::Tensor block(Session& session, const at::Tensor& start, std::uint32_t number) const {
    return session
        .solve({make_start(session.spec(), start, residue_types(row_.seqres), simulation_placement(kFrames),
                           {.seed = 137, .name = "x", .sample = 0, .block = number})})
        .atom14.front();
  }

  testing::TempDir dir_;
  data::SplitRow row_{.line = 2, .name = "x", .seqres = "FLRH"};
};

TEST_F(SimulateTest, ARolloutStartsFromTheLastFrameOfTheOneBefore) {
  std::filesystem::create_directories(dir_ / "out");
  Session session(options());
  const at::Tensor start = read_frames(open_array(session, row_), 0, 1);
  const at::Tensor first = block(session, start, 0);
  const at::Tensor second = block(session, first.narrow(0, kFrames - 1, 1), 1);
  EXPECT_FALSE(at::allclose(second, block(session, start, 1), 1e-3, 1e-2)) << "the start must matter";

  ASSERT_EQ(simulate(session, {row_}, [](double) {}).front().problem, "");
  EXPECT_TRUE(at::equal(written(), at::cat({first, second.narrow(0, 1, kFrames - 1)})));
}

}  // namespace
}  // namespace mdgen::sample
