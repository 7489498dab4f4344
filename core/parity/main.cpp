// mdgen-parity: runs reference tensors through the project's science and says how far apart they are.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/command_line.h"
#include "core/parity/case.h"

namespace {

namespace fs = std::filesystem;
using mdgen::parity::Result;
using mdgen::parity::Verdict;

constexpr int kGood = 0;
constexpr int kBad = 1;
constexpr const char* kExtension = ".safetensors";

std::vector<fs::path> case_files(const fs::path& folder, const std::vector<std::string>& names) {
  std::vector<fs::path> files;
  if (names.empty()) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == kExtension) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) throw CLI::ValidationError("DIR", folder.string() + " holds no *.safetensors");
  }
  for (const std::string& name : names) {
    files.push_back(folder / (name + kExtension));
    if (!fs::is_regular_file(files.back())) {
      throw CLI::ValidationError("--case", files.back().string() + " does not exist");
    }
  }
  return files;
}

int run(const std::vector<fs::path>& files) {
  int passed = 0, failed = 0, unsupported = 0;
  for (const fs::path& file : files) {
    const Result result = mdgen::parity::run_case(file);
    std::cout << result.row() << std::endl;
    for (const std::string& reason : result.reasons) std::cerr << result.name << ": " << reason << "\n";
    passed += result.verdict == Verdict::kPass;
    failed += result.verdict == Verdict::kFail;
    unsupported += result.verdict == Verdict::kUnsupported;
  }
  std::cerr.flush();
  std::cout << "parity: " << passed << " passed, " << failed << " failed, " << unsupported << " unsupported"
            << std::endl;
  return failed + unsupported == 0 ? kGood : kBad;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Compares the project's computations with tensors that the original MDGen produced.\n"
      "Exit status: 0 every case passes, 1 one does not (or is unsupported), 2 wrong usage."};
  std::string folder;
  std::vector<std::string> names;
  app.add_option("DIR", folder, "folder of golden *.safetensors files")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--case", names, "run this case only (repeatable)")->allow_extra_args(false);
  app.set_version_flag("--version", std::string("mdgen-parity ") + MDGEN_VERSION);
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  try {
    at::set_num_threads(1);  // the cases are small
    return run(case_files(folder, names));
  } catch (const CLI::ParseError& error) {
    std::cerr << "mdgen-parity: " << error.what() << "\n";
    return mdgen::kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "mdgen-parity: " << error.what() << "\n";
    return kBad;
  }
}
