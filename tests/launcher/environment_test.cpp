#include "launcher/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <sstream>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "launcher/binding.h"

namespace mdgen::launcher {
namespace {

using ::testing::HasSubstr;

Environment operator+(Environment a, const Environment& b) {
  a.insert(b.begin(), b.end());
  return a;
}

const Environment kTorch = {{"RANK", "3"},
                            {"WORLD_SIZE", "8"},
                            {"LOCAL_RANK", "1"},
                            {"LOCAL_WORLD_SIZE", "2"},
                            {"MASTER_ADDR", "10.0.0.1"},
                            {"MASTER_PORT", "29500"}};
const Environment kOmpi = {{"OMPI_COMM_WORLD_RANK", "3"},
                           {"OMPI_COMM_WORLD_SIZE", "8"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"PMIX_NAMESPACE", "prte-7"}};
const Environment kPmi = {
    {"PMI_RANK", "2"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"}};
const Environment kSlurm = {{"SLURM_JOB_ID", "77"},
                            {"SLURM_STEP_ID", "0"},
                            {"SLURM_PROCID", "5"},
                            {"SLURM_STEP_NUM_TASKS", "7"},
                            {"SLURM_LOCALID", "0"},
                            {"SLURM_NODEID", "2"},
                            {"SLURM_STEP_TASKS_PER_NODE", "3,2(x2)"},
                            {"SLURM_RESTART_COUNT", "1"}};

std::string words(const Place& place) {
  return std::string(launcher_name(place.launcher)) + " " + std::to_string(place.rank) + "/" +
         std::to_string(place.size) + " " + std::to_string(place.local_rank) + "/" +
         std::to_string(place.local_size) + " " + place.launch_id + (place.nested ? " nested" : "");
}

struct Row {
  const char* name;
  Environment environment;
  std::string expected;  // or, after '!', part of the error
};

class PlaceTable : public ::testing::TestWithParam<Row> {};

TEST_P(PlaceTable, FindPlace) {
  const Row& row = GetParam();
  if (!row.expected.starts_with('!')) {
    EXPECT_EQ(words(find_place(row.environment)), row.expected);
    return;
  }
  try {
    const Place place = find_place(row.environment);
    FAIL() << words(place);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr(row.expected.substr(1)));
  }
}

const Row kRows[] = {
    {"Nothing", {{"HOME", "/root"}}, "nobody 0/1 0/1 "},
    {"Torch", kTorch, "torchrun 3/8 1/2 "},
    {"TorchNamed", kTorch + Environment{{"TORCHELASTIC_RUN_ID", "a"}, {"TORCHELASTIC_RESTART_COUNT", "2"}},
     "torchrun 3/8 1/2 torch-a-2"},
    {"PartialTorchDoesNotCount", {{"RANK", "3"}, {"LOCAL_RANK", "1"}}, "nobody 0/1 0/1 "},
    {"OpenMpi", kOmpi, "mpirun 3/8 1/2 ompi-prte-7"},
    {"OpenMpiHidesSlurm", kOmpi + kSlurm, "mpirun 3/8 1/2 ompi-prte-7"},
    {"OpenMpiHidesPmi", kOmpi + kPmi, "mpirun 3/8 1/2 ompi-prte-7"},
    {"PartialOpenMpi",
     {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}},
     "!mpirun is incomplete: no OMPI_COMM_WORLD_LOCAL_RANK, OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"TorchAgreesWithOpenMpi", kOmpi + kTorch, "torchrun 3/8 1/2 ompi-prte-7"},
    {"TorchrunOnEachNodeOfASlurmStep",
     kTorch + kSlurm +
         Environment{{"GROUP_RANK", "5"}, {"GROUP_WORLD_SIZE", "7"}, {"TORCHELASTIC_RUN_ID", "none"}},
     "torchrun 3/8 1/2 slurm-77-0-1-torch-none nested"},
    {"TorchrunOfAnotherStep", kTorch + kSlurm + Environment{{"GROUP_RANK", "1"}, {"GROUP_WORLD_SIZE", "7"}},
     "!RANK=3 of WORLD_SIZE=8 contradicts srun, which gives rank 5 of 7"},
    {"TorchContradictsOpenMpi", Environment{{"RANK", "4"}} + kTorch + kOmpi,
     "!RANK=4 of WORLD_SIZE=8 contradicts mpirun, which gives rank 3 of 8"},
    {"PartialTorchBesideOpenMpi", kOmpi + Environment{{"RANK", "9"}}, "mpirun 3/8 1/2 ompi-prte-7"},
    {"Pmi", kPmi, "PMI 2/4 0/2 "},
    {"PmiOfOne", {{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}, "PMI 0/1 0/1 "},
    {"PmiWithoutLocalRank", {{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}}, "!MPI_LOCALRANKID and MPI_LOCALNRANKS"},
    {"PartialPmi", {{"PMI_RANK", "0"}}, "!PMI is incomplete: no PMI_SIZE"},
    {"Slurm", kSlurm, "srun 5/7 0/2 slurm-77-0-1"},
    {"SlurmPmi2", kSlurm + Environment{{"PMI_RANK", "5"}, {"PMI_SIZE", "7"}}, "srun 5/7 0/2 slurm-77-0-1"},
    {"SlurmBatchScript",
     {{"SLURM_JOB_ID", "77"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}},
     "nobody 0/1 0/1 "},
    {"PartialSlurm",
     {{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}},
     "!srun is incomplete: no SLURM_STEP_NUM_TASKS"},
    {"SlurmTasksMalformed", Environment{{"SLURM_STEP_TASKS_PER_NODE", "many"}} + kSlurm,
     "!SLURM_STEP_TASKS_PER_NODE='many'"},
    {"NotANumber", Environment{{"OMPI_COMM_WORLD_RANK", "-1"}} + kOmpi,
     "!OMPI_COMM_WORLD_RANK='-1' is not a number"},
    {"RankTooLarge", Environment{{"OMPI_COMM_WORLD_RANK", "8"}} + kOmpi, "!mpirun gives rank 8 of 8"},
    {"LocalRankTooLarge", Environment{{"OMPI_COMM_WORLD_LOCAL_RANK", "2"}} + kOmpi, "!local rank 2 of 2"},
};

INSTANTIATE_TEST_SUITE_P(All, PlaceTable, ::testing::ValuesIn(kRows),
                         [](const auto& info) { return std::string(info.param.name); });

// What the launchers of Debian 12 and PyTorch 2.11 really put there, one file a process (names of hosts and
// folders changed).
struct Captured {
  const char* file;
  const char* expected;
  bool bound_by_default = false;
};

Environment captured(const std::string& file) {
  Environment result;
  std::istringstream lines(
      read_file(std::string(MDGEN_SOURCE_DIR "/tests/launcher/environments/") + file + ".env"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    result.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return result;
}

const Captured kCaptured[] = {
    {"mpirun.0", "mpirun 0/2 0/2 ompi-1735393281", true},
    {"mpirun.1", "mpirun 1/2 1/2 ompi-1735393281", true},
    {"mpirun-recovery-bind-none.0", "mpirun 0/1 0/1 ompi-1734868993"},
    {"mpiexec-hydra.0", "PMI 0/2 0/2 "},
    {"mpiexec-hydra.1", "PMI 1/2 1/2 "},
    {"torchrun.0", "torchrun 0/2 0/2 torch-none-0"},
    {"torchrun.1", "torchrun 1/2 1/2 torch-none-0"},
    {"srun-none.0", "srun 0/2 0/2 slurm-1-0"},
    {"srun-none.1", "srun 1/2 1/2 slurm-1-0"},
    {"srun-pmix.0", "srun 0/2 0/2 slurm-2-0"},
    {"srun-pmix.1", "srun 1/2 1/2 slurm-2-0"},
    {"srun-pmi2.0", "srun 0/2 0/2 slurm-3-0"},
    {"srun-pmi2.1", "srun 1/2 1/2 slurm-3-0"},
    {"srun-mpirun.0", "mpirun 0/2 0/2 ompi-1672085505"},
    {"srun-mpirun.1", "mpirun 1/2 1/2 ompi-1672085505"},
    {"srun-torchrun.0", "torchrun 0/2 0/2 slurm-1-0-torch-none-0 nested"},
    {"srun-torchrun.1", "torchrun 1/2 1/2 slurm-1-0-torch-none-0 nested"},
    {"sbatch-script.0", "nobody 0/1 0/1 "},
    {"sbatch-srun.0", "srun 0/2 0/2 slurm-4-0"},
    {"sbatch-srun.1", "srun 1/2 1/2 slurm-4-0"},
    {"sbatch-mpirun.0", "mpirun 0/2 0/2 ompi-1620901889", true},
    {"sbatch-mpirun.1", "mpirun 1/2 1/2 ompi-1620901889", true},
};

class CapturedTable : public ::testing::TestWithParam<Captured> {};

TEST_P(CapturedTable, FindPlace) {
  const Environment environment = captured(GetParam().file);
  EXPECT_EQ(words(find_place(environment)), GetParam().expected);
  EXPECT_EQ(bound_by_default(environment), GetParam().bound_by_default);
}

INSTANTIATE_TEST_SUITE_P(All, CapturedTable, ::testing::ValuesIn(kCaptured), [](const auto& info) {
  std::string name = info.param.file;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(BoundByDefault, OnlyWhenNobodyAskedForABinding) {
  const Environment bound = {{"OMPI_MCA_orte_bound_at_launch", "1"}};
  EXPECT_TRUE(bound_by_default(bound));
  EXPECT_TRUE(bound_by_default(bound + Environment{{"OMPI_MCA_rmaps_base_mapping_policy", "node"}}));
  EXPECT_FALSE(bound_by_default(bound + Environment{{"OMPI_MCA_hwloc_base_binding_policy", "core"}}));
  EXPECT_FALSE(bound_by_default(bound + Environment{{"OMPI_MCA_rmaps_base_mapping_policy", "slot:PE=2"}}));
  EXPECT_FALSE(bound_by_default({{"OMPI_COMM_WORLD_RANK", "0"}}));
}

}  // namespace
}  // namespace mdgen::launcher
