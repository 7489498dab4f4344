#include "core/format/trajectory.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/base/error.h"
#include "core/format/chemfiles_api.h"
#include "core/format/whole_frames.h"
#include "core/format/xtc_reader.h"

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

constexpr const char* kNoFrames = "there are no frames";

void require_readable(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file))
    throw Error(ErrorCode::kNotFound, file.string() + ": no such file");
  for (const char* packed : {".gz", ".bz2", ".xz"})
    if (file.extension() == packed)
      throw Error(ErrorCode::kUnimplemented,
                  file.string() + ": compressed files are not read; unpack it first");
}

TrajectoryHandle open(const std::filesystem::path& file) {
  static std::once_flag once;
  std::call_once(once, [] {
    chfl_set_warning_callback([](const char* message) { spdlog::debug("chemfiles: {}", message); });
  });
  TrajectoryHandle trajectory(chfl_trajectory_open(file.c_str(), 'r'));
  if (trajectory == nullptr) fail_with_last_error(file);
  return trajectory;
}

std::span<const std::array<double, 3>> frame_positions(CHFL_FRAME* frame, const std::filesystem::path& file,
                                                       const std::string& where = "") {
  chfl_vector3d* positions = nullptr;
  std::uint64_t atoms = 0;
  check(chfl_frame_positions(frame, &positions, &atoms), file, where);
  static_assert(sizeof(std::array<double, 3>) == sizeof(chfl_vector3d));
  return {reinterpret_cast<const std::array<double, 3>*>(positions), atoms};
}

// Nothing for a box without volume.
std::optional<UnitCell> with_volume(const UnitCell& cell) {
  const auto& [a, b, c] = cell;
  const double volume = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) +
                        a[2] * (b[0] * c[1] - b[1] * c[0]);
  return std::abs(volume) > 0 ? std::optional(cell) : std::nullopt;
}

std::optional<UnitCell> frame_cell(CHFL_FRAME* frame) {
  const Handle<CHFL_CELL> cell(chfl_cell_from_frame(frame));
  std::array<std::array<double, 3>, 3> columns{};
  if (cell == nullptr || chfl_cell_matrix(cell.get(), reinterpret_cast<chfl_vector3d*>(columns.data())) != 0)
    return std::nullopt;
  UnitCell vectors{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) vectors[i][j] = columns[j][i];
  return with_volume(vectors);
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
  require_readable(file);
  count_whole_frames(file);
  const TrajectoryHandle trajectory = open(file);
  const Handle<CHFL_FRAME> frame(chfl_frame());
  check(chfl_trajectory_read_step(trajectory.get(), 0, frame.get()), file);
  const Handle<CHFL_TOPOLOGY> handle(chfl_topology_from_frame(frame.get()));
  std::uint64_t atoms = 0;
  std::uint64_t residues = 0;
  check(chfl_topology_atoms_count(handle.get(), &atoms), file);
  check(chfl_topology_residues_count(handle.get(), &residues), file);
  if (atoms == 0) fail(file, "there are no atoms");

  Topology topology;
  const auto positions = frame_positions(frame.get(), file);
  if (std::any_of(positions.begin(), positions.end(), [&](const auto& p) { return p != positions[0]; }))
    topology.positions.assign(positions.begin(), positions.end());
  topology.cell = frame_cell(frame.get());
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

// Another library's or our own way to read one file.
class FrameReader {
 public:
  FrameReader() = default;
  virtual ~FrameReader() = default;
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  virtual std::size_t frames() const = 0;
  virtual std::span<const std::array<double, 3>> positions(std::size_t index) = 0;
  virtual std::optional<UnitCell> cell() const = 0;
};

struct TrajectoryReader::State {
  std::unique_ptr<FrameReader> reader;
};

namespace {

class ChemfilesReader final : public FrameReader {
 public:
  explicit ChemfilesReader(const std::filesystem::path& file) : file_(file), frame_(chfl_frame()) {
    require_readable(file);
    const std::optional<std::size_t> counted = count_whole_frames(file);
    if (counted == 0) fail(file, kNoFrames);
    trajectory_ = open(file);
    check(chfl_trajectory_nsteps(trajectory_.get(), &frames_), file);
    if (counted && *counted > frames_)
      fail(file,
           std::to_string(*counted) + " frames are there, only " + std::to_string(frames_) + " can be read");
    if (counted) frames_ = *counted;
    if (frames_ == 0) fail(file, kNoFrames);
  }

  std::size_t frames() const override { return frames_; }

  std::span<const std::array<double, 3>> positions(std::size_t index) override {
    const std::string where = "frame " + std::to_string(index) + ": ";
    check(chfl_trajectory_read_step(trajectory_.get(), index, frame_.get()), file_, where);
    return frame_positions(frame_.get(), file_, where);
  }

  std::optional<UnitCell> cell() const override { return frame_cell(frame_.get()); }

 private:
  std::filesystem::path file_;
  TrajectoryHandle trajectory_;
  Handle<CHFL_FRAME> frame_;
  std::uint64_t frames_ = 0;
};

class OwnXtcReader final : public FrameReader {
 public:
  explicit OwnXtcReader(const std::filesystem::path& file) : reader_(file) {
    if (reader_.frames() == 0) fail(file, kNoFrames);
  }
  std::size_t frames() const override { return reader_.frames(); }
  std::span<const std::array<double, 3>> positions(std::size_t index) override {
    return reader_.positions(index);
  }
  std::optional<UnitCell> cell() const override {
    return reader_.cell() ? with_volume(*reader_.cell()) : std::nullopt;
  }

 private:
  XtcReader reader_;
};

}  // namespace

TrajectoryReader::TrajectoryReader(const std::filesystem::path& file) : state_(new State) {
  if (file.extension() == ".xtc")
    state_->reader = std::make_unique<OwnXtcReader>(file);
  else
    state_->reader = std::make_unique<ChemfilesReader>(file);
}

TrajectoryReader::~TrajectoryReader() = default;
TrajectoryReader::TrajectoryReader(TrajectoryReader&&) noexcept = default;
TrajectoryReader& TrajectoryReader::operator=(TrajectoryReader&&) noexcept = default;

std::size_t TrajectoryReader::frames() const { return state_->reader->frames(); }

std::span<const std::array<double, 3>> TrajectoryReader::positions(std::size_t index) {
  return state_->reader->positions(index);
}

std::optional<UnitCell> TrajectoryReader::cell() const { return state_->reader->cell(); }

}  // namespace mdgen::format
