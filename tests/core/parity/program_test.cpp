// The program from outside: rows, summary and exit status on good, changed, broken and unsupported files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/format/safetensors.h"
#include "tests/support/temp_dir.h"

namespace mdgen {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(MDGEN_SOURCE_DIR) / "tests/golden";

struct Outcome {
  int status = -1;
  std::string text;  // stdout and stderr
};

Outcome run_parity(const std::string& arguments) {
  const std::string command = std::string(MDGEN_BIN_DIR) + "/mdgen-parity " + arguments + " 2>&1";
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) outcome.text += buffer.data();
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// Copies a golden file with the largest value of one tensor multiplied.
void copy_changed(const std::string& name, const fs::path& to, const std::string& tensor, float factor) {
  const format::SafetensorsFile source(kGolden / (name + ".safetensors"));
  const auto original = source.bytes(tensor);
  std::vector<float> values(original.size() / sizeof(float));
  std::memcpy(values.data(), original.data(), original.size());
  *std::max_element(values.begin(), values.end(),
                    [](float a, float b) { return std::abs(a) < std::abs(b); }) *= factor;
  std::vector<format::TensorBytes> tensors;
  for (const auto& [key, info] : source.tensors()) {
    const auto data = key == tensor ? std::as_bytes(std::span<const float>(values)) : source.bytes(key);
    tensors.push_back({key, info.dtype, info.shape, data});
  }
  format::write_safetensors(to, tensors, source.metadata());
}

TEST(ParityProgramTest, PrintsARowACaseAndASummary) {
  const Outcome outcome = run_parity("--case sim --case geometry " + kGolden.string());
  EXPECT_EQ(outcome.status, 0) << outcome.text;
  EXPECT_THAT(outcome.text,
              ::testing::ContainsRegex("sim prep=[0-9e-]+ out=[0-9e-]+ loss=[0-9e-]+ grad=[0-9e-]+ train=- "
                                       "ode=[0-9e-]+ PASS\ngeometry prep=[0-9e-]+ out=- loss=- grad=- "
                                       "train=- ode=- PASS\nparity: 2 passed, 0 failed, 0 unsupported\n$"));
}

// A change a little past the tolerance is seen in each family.
struct Change {
  const char* name;
  const char* tensor;
  float factor;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.name << " " << change.tensor; }

class ParityChangeTest : public ::testing::TestWithParam<Change> {};

TEST_P(ParityChangeTest, FailsTheCase) {
  const testing::TempDir folder;
  const auto& [name, tensor, factor] = GetParam();
  copy_changed(name, folder / (std::string(name) + ".safetensors"), tensor, factor);
  const Outcome outcome = run_parity(folder.path().string());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.text, HasSubstr(" FAIL\n"));
  EXPECT_THAT(outcome.text, HasSubstr("parity: 0 passed, 1 failed, 0 unsupported"));
  const std::string full = tensor;
  EXPECT_THAT(outcome.text, HasSubstr(full.substr(full.find_last_of('.') + 1) + " differs by"));
}

INSTANTIATE_TEST_SUITE_P(
    Each, ParityChangeTest,
    ::testing::Values(Change{"no_ipa", "prep.latents", 1.0001F}, Change{"no_ipa", "out.model", 1.0001F},
                      Change{"no_ipa", "out.ut", 1.0001F}, Change{"no_ipa", "out.loss", 1.0001F},
                      Change{"no_ipa", "grad.layers.1.fc1.weight", 1.0005F},
                      Change{"tiny_tps", "prep.end_frames.trans", 1.0001F},
                      Change{"tiny_no_frames", "prep.loss_mask", 1.0001F},
                      Change{"tiny_inpaint", "out.loss_discrete", 1.0001F},
                      Change{"tiny_inpaint", "out.loss_per_sample", 1.0001F},
                      Change{"tiny_mpnn", "out.loss_per_sample", 1.0001F},
                      Change{"tiny_mpnn", "out.model", 1.0001F}, Change{"train_adam", "train.loss", 1.0005F},
                      Change{"train_adam", "train.grad_norm", 1.0005F},
                      Change{"train_adam", "train.final.layers.0.fc2.weight", 1.005F},
                      Change{"train_adamw", "train.ema.layers.0.fc2.weight", 1.005F},
                      Change{"sim", "ode.latents", 1.0005F}, Change{"sim", "ode.atom14", 1.0005F},
                      Change{"geometry", "rebuilt_atom14", 1.0001F},
                      Change{"geometry", "table.restype_atom14_rigid_group_positions", 1.000001F}),
    [](const auto& info) {
      std::string name = std::string(info.param.name) + "_" + info.param.tensor;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

void write_case(const fs::path& file, const std::string& flags) {
  const float value = 1;
  const format::TensorBytes tensor{
      "prep.latents", "F32", {1}, std::as_bytes(std::span<const float>(&value, 1))};
  format::write_safetensors(file, {&tensor, 1}, {{"flags", flags}});
}

TEST(ParityProgramTest, BadFilesFailByName) {
  const testing::TempDir folder;
  write_case(folder / "flag.safetensors", "--no_such_flag 3");
  write_case(folder / "missing.safetensors", "--sim_condition");
  std::ofstream(folder / "torn.safetensors") << "not a file of tensors";
  const Outcome outcome = run_parity(folder.path().string());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.text, HasSubstr("parity: 0 passed, 3 failed, 0 unsupported\n"));
  EXPECT_THAT(outcome.text, HasSubstr("no_such_flag"));
  EXPECT_THAT(outcome.text, HasSubstr("missing: there is no tensor batch."));
  EXPECT_THAT(outcome.text, HasSubstr("torn.safetensors"));
}

TEST(ParityProgramTest, WrongUsageIsToldApart) {
  const testing::TempDir empty;
  EXPECT_EQ(run_parity("").status, 2);
  EXPECT_EQ(run_parity("/no/such/folder").status, 2);
  EXPECT_EQ(run_parity(empty.path().string()).status, 2);
  EXPECT_EQ(run_parity("--case nothing " + kGolden.string()).status, 2);
  EXPECT_EQ(run_parity("--help").status, 0);
  EXPECT_EQ(run_parity("--version").status, 0);
}

}  // namespace
}  // namespace mdgen
