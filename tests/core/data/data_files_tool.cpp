// What our readers make of files that others wrote, one JSON value a line:
//
//   data_files_tool npy FILE…                      {dtype, shape, sha256 of the data} or {error}
//   data_files_tool csv FILE…                      rows, or {error}
//   data_files_tool examine SPLIT DATA_DIR FRAMES [THREADS]
//                                                  what a preflight under atlas finds; its seconds on stderr
#include <chrono>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/config/json.h"
#include "core/data/csv.h"
#include "core/data/preflight.h"
#include "core/format/npy_file.h"

namespace {

using mdgen::config::Json;

Json read_npy(const std::string& file) {
  const mdgen::format::NpyFile open(file);
  const auto& header = open.header();
  std::vector<std::byte> data(static_cast<std::size_t>(open.bytes()) - header.data_offset);
  open.read(data, static_cast<std::int64_t>(header.data_offset));
  mdgen::Sha256 digest;
  digest.update(data.data(), data.size());
  return {{"dtype", header.dtype},
          {"fortran_order", header.fortran_order},
          {"shape", header.shape},
          {"sha256", digest.hex()}};
}

Json read_csv(const std::string& file) {
  Json rows = Json::array();
  for (const auto& row : mdgen::data::parse_csv(mdgen::read_file(file), file)) rows.push_back(row.fields);
  return rows;
}

void print(Json (*read)(const std::string&), const std::string& file) {
  Json value;
  try {
    value = read(file);
  } catch (const mdgen::Error& error) {
    value = {{"error", mdgen::to_utf8(error.what())}};
  }
  std::cout << value.dump(-1, ' ', true, Json::error_handler_t::replace) << '\n';
}

Json examine(const std::vector<std::string>& arguments) {
  mdgen::v1::JobSpec spec;
  spec.mutable_data()->set_train_split(arguments.at(1));
  spec.mutable_data()->set_data_dir(arguments.at(2));
  spec.mutable_data()->set_num_frames(std::stoi(arguments.at(3)));
  spec.mutable_data()->set_crop(8);
  spec.mutable_data()->set_atlas(true);
  spec.mutable_loop()->set_no_validate(true);
  mdgen::data::PreflightOptions options;
  if (arguments.size() > 4) options.threads = std::stoi(arguments[4]);
  const auto begin = std::chrono::steady_clock::now();
  const mdgen::v1::Preflight found = mdgen::data::examine_data(spec, options);
  std::cerr << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() << '\n';
  return mdgen::config::message_to_json(found, mdgen::config::Unset::kLeaveOut);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.at(0) == "examine") {
    std::cout << examine(arguments).dump() << '\n';
    return 0;
  }
  for (const std::string& file : std::span(arguments).subspan(1))
    print(arguments[0] == "npy" ? read_npy : read_csv, file);
  return 0;
}
