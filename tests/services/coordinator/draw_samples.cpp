// Prints what test_sample_pictures.py compares with mdtraj: draw_samples RUN_FOLDER DATA_DIR ENTRY SEQUENCE
// FRAME_INTERVAL [FILE]. The data set is that entry alone, with the replicas ENTRY_R1.npy, … of DATA_DIR.
#include <filesystem>
#include <iostream>

#include "core/base/error.h"
#include "core/data/array_check.h"
#include "core/data/manifest.h"
#include "services/coordinator/run_folder.h"
#include "services/coordinator/sample_pictures.h"

int main(int argc, char** argv) {
  if (argc < 6) {
    std::cerr << "usage: draw_samples RUN_FOLDER DATA_DIR ENTRY SEQUENCE FRAME_INTERVAL [FILE]\n";
    return 2;
  }
  const std::filesystem::path data_dir = argv[2];
  mdgen::v1::JobManifest manifest;
  mdgen::v1::ManifestEntry& entry = *manifest.mutable_train()->add_entries();
  entry.set_name(argv[3]);
  entry.set_seqres(argv[4]);
  entry.set_residues(static_cast<int>(entry.seqres().size()));
  for (int index = 1; index < 4; ++index) {
    const std::string file = entry.name() + "_R" + std::to_string(index) + ".npy";
    if (!std::filesystem::exists(data_dir / file)) continue;
    mdgen::v1::Replica& replica = *entry.add_replicas();
    replica.set_index(index);
    replica.set_file(file);
    mdgen::data::describe_array(mdgen::format::NpyFile(data_dir / file), replica);
  }
  manifest.set_digest(mdgen::data::job_manifest_digest(manifest));
  mdgen::coordinator::write_manifest(argv[1], manifest);

  mdgen::v1::Job job;
  job.set_id("job");
  job.set_run_folder(argv[1]);
  job.set_manifest_digest(manifest.digest());
  job.mutable_spec()->mutable_data()->set_data_dir(data_dir);
  job.mutable_spec()->mutable_data()->set_frame_interval(std::stoi(argv[5]));
  mdgen::coordinator::SamplePictures pictures;
  try {
    std::cout << pictures.get(job, argc > 6 ? argv[6] : "") << "\n";
  } catch (const mdgen::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
