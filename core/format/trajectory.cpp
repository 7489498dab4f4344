#include "core/format/trajectory.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>

#include "core/base/error.h"
#include "core/format/chemfiles_api.h"
#include "core/format/whole_frames.h"

namespace mdgen::format {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": " + reason);
}

[[noreturn]] void fail_with_last_error(const std::filesystem::path& file, const std::string& where = "") {
  fail(file, where + chfl_last_error());
}

void check(chfl_status status, const std::filesystem::path& file, const std::string& where = "") {
  if (status != 0) fail_with_last_error(file, where);
}

struct Free {
  void operator()(const void* object) const { chfl_free(object); }
};
struct Close {
  void operator()(const CHFL_TRAJECTORY* trajectory) const { chfl_trajectory_close(trajectory); }
};
template <typename T>
using Handle = std::unique_ptr<T, Free>;
using TrajectoryHandle = std::unique_ptr<CHFL_TRAJECTORY, Close>;

TrajectoryHandle open(const std::filesystem::path& file) {
  static std::once_flag once;
  std::call_once(once, [] {
    chfl_set_warning_callback([](const char* message) { spdlog::debug("chemfiles: {}", message); });
  });
  if (!std::filesystem::is_regular_file(file))
    throw Error(ErrorCode::kNotFound, file.string() + ": no such file");
  for (const char* packed : {".gz", ".bz2", ".xz"})
    if (file.extension() == packed)
      throw Error(ErrorCode::kUnimplemented,
                  file.string() + ": compressed files are not read; unpack it first");
  TrajectoryHandle trajectory(chfl_trajectory_open(file.c_str(), 'r'));
  if (trajectory == nullptr) fail_with_last_error(file);
  return trajectory;
}

constexpr std::size_t kTextSize = 64;

template <typename Get>
std::string text(Get get) {
  std::array<char, kTextSize> buffer{};
  return get(buffer.data(), buffer.size()) == 0 ? std::string(buffer.data()) : std::string();
}

std::string property(const CHFL_RESIDUE* residue, const char* name) {
  const Handle<CHFL_PROPERTY> value(chfl_residue_get_property(residue, name));
  if (value == nullptr) return "";
  std::string found =
      text([&](char* at, std::uint64_t size) { return chfl_property_get_string(value.get(), at, size); });
  std::erase(found, ' ');
  return found;
}

TopologyResidue read_residue(const CHFL_TOPOLOGY* topology, std::uint64_t index,
                             const std::filesystem::path& file) {
  const Handle<CHFL_RESIDUE> handle(chfl_residue_from_topology(topology, index));
  if (handle == nullptr) fail_with_last_error(file);
  TopologyResidue residue;
  residue.name =
      text([&](char* at, std::uint64_t size) { return chfl_residue_name(handle.get(), at, size); });
  if (chfl_residue_id(handle.get(), &residue.number) != 0)
    residue.number = static_cast<std::int64_t>(index) + 1;
  residue.chain = property(handle.get(), "chainid");
  const std::string segment = property(handle.get(), "segname");
  if (!segment.empty()) residue.chain += (residue.chain.empty() ? "" : "/") + segment;
  std::uint64_t count = 0;
  check(chfl_residue_atoms_count(handle.get(), &count), file);
  std::vector<std::uint64_t> atoms(count);
  check(chfl_residue_atoms(handle.get(), atoms.data(), count), file);
  residue.atoms.assign(atoms.begin(), atoms.end());
  std::sort(residue.atoms.begin(), residue.atoms.end());
  return residue;
}

// Every atom belongs to one residue, and each residue's atoms lie side by side.
void check_order(const Topology& topology, const std::filesystem::path& file) {
  std::size_t next = 0;
  for (const TopologyResidue& residue : topology.residues) {
    const std::string name = residue.name + " " + std::to_string(residue.number);
    for (const std::size_t atom : residue.atoms) {
      if (atom > next)
        fail(file, "atom " + std::to_string(next) + " (" + topology.atom_names[next] +
                       ") belongs to no residue, or to one whose atoms do not lie side by side");
      if (atom < next) fail(file, "residue " + name + ": its atoms do not lie side by side");
      ++next;
    }
  }
  if (next != topology.atom_names.size())
    fail(file, "atom " + std::to_string(next) + " (" + topology.atom_names[next] +
                   ") belongs to no residue; a topology with residues is needed (PDB, GRO, PSF …)");
}

}  // namespace

Topology read_topology(const std::filesystem::path& file) {
  static std::mutex one_at_a_time;  // chemfiles reads some formats through plugins with global state
  const std::lock_guard lock(one_at_a_time);
  const TrajectoryHandle trajectory = open(file);
  count_whole_frames(file);
  const Handle<CHFL_FRAME> frame(chfl_frame());
  check(chfl_trajectory_read_step(trajectory.get(), 0, frame.get()), file);
  const Handle<CHFL_TOPOLOGY> handle(chfl_topology_from_frame(frame.get()));
  std::uint64_t atoms = 0;
  std::uint64_t residues = 0;
  check(chfl_topology_atoms_count(handle.get(), &atoms), file);
  check(chfl_topology_residues_count(handle.get(), &residues), file);
  if (atoms == 0) fail(file, "there are no atoms");

  Topology topology;
  for (std::uint64_t i = 0; i < atoms; ++i) {
    const Handle<CHFL_ATOM> atom(chfl_atom_from_topology(handle.get(), i));
    topology.atom_names.push_back(
        text([&](char* at, std::uint64_t size) { return chfl_atom_name(atom.get(), at, size); }));
  }
  for (std::uint64_t i = 0; i < residues; ++i) {
    TopologyResidue residue = read_residue(handle.get(), i, file);
    if (!residue.atoms.empty()) topology.residues.push_back(std::move(residue));
  }
  std::sort(topology.residues.begin(), topology.residues.end(),
            [](const auto& a, const auto& b) { return a.atoms.front() < b.atoms.front(); });
  check_order(topology, file);
  return topology;
}

struct TrajectoryReader::State {
  std::filesystem::path file;
  TrajectoryHandle trajectory;
  Handle<CHFL_FRAME> frame;
  std::uint64_t frames = 0;

  std::span<const std::array<double, 3>> read(std::uint64_t index) {
    const std::string where = "frame " + std::to_string(index) + ": ";
    check(chfl_trajectory_read_step(trajectory.get(), index, frame.get()), file, where);
    chfl_vector3d* positions = nullptr;
    std::uint64_t atoms = 0;
    check(chfl_frame_positions(frame.get(), &positions, &atoms), file, where);
    static_assert(sizeof(std::array<double, 3>) == sizeof(chfl_vector3d));
    return {reinterpret_cast<const std::array<double, 3>*>(positions), atoms};
  }
};

TrajectoryReader::TrajectoryReader(const std::filesystem::path& file)
    : state_(new State{file, open(file), Handle<CHFL_FRAME>(chfl_frame()), 0}) {
  check(chfl_trajectory_nsteps(state_->trajectory.get(), &state_->frames), file);
  const std::optional<std::size_t> counted = count_whole_frames(file);
  if (counted && *counted > state_->frames)
    fail(file, std::to_string(*counted) + " frames are there, only " + std::to_string(state_->frames) +
                   " can be read");
  if (counted) state_->frames = *counted;
  if (state_->frames == 0) fail(file, "there are no frames");
}

TrajectoryReader::~TrajectoryReader() = default;
TrajectoryReader::TrajectoryReader(TrajectoryReader&&) noexcept = default;
TrajectoryReader& TrajectoryReader::operator=(TrajectoryReader&&) noexcept = default;

std::size_t TrajectoryReader::frames() const { return state_->frames; }

std::span<const std::array<double, 3>> TrajectoryReader::positions(std::size_t index) {
  return state_->read(index);
}

}  // namespace mdgen::format
