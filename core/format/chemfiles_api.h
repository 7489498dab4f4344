// The few functions of chemfiles' C interface (version 0.10.4) that are used: the wheel carries the library
// alone. Signatures as in chemfiles.org's C reference. Internal to core/format.
#pragma once

#include <cstdint>

extern "C" {

struct CHFL_TRAJECTORY;
struct CHFL_FRAME;
struct CHFL_TOPOLOGY;
struct CHFL_RESIDUE;
struct CHFL_ATOM;
struct CHFL_PROPERTY;
struct CHFL_CELL;
using chfl_status = int;  // 0 is success
using chfl_vector3d = double[3];
using chfl_warning_callback = void (*)(const char*);

const char* chfl_last_error();
chfl_status chfl_set_warning_callback(chfl_warning_callback callback);
void chfl_free(const void* object);

CHFL_TRAJECTORY* chfl_trajectory_open(const char* path, char mode);
CHFL_TRAJECTORY* chfl_trajectory_with_format(const char* path, char mode, const char* format);
chfl_status chfl_trajectory_write(CHFL_TRAJECTORY* trajectory, const CHFL_FRAME* frame);
void chfl_trajectory_close(const CHFL_TRAJECTORY* trajectory);
chfl_status chfl_trajectory_nsteps(CHFL_TRAJECTORY* trajectory, std::uint64_t* steps);
chfl_status chfl_trajectory_read_step(CHFL_TRAJECTORY* trajectory, std::uint64_t step, CHFL_FRAME* frame);

CHFL_FRAME* chfl_frame();
chfl_status chfl_frame_resize(CHFL_FRAME* frame, std::uint64_t atoms);
chfl_status chfl_frame_set_step(CHFL_FRAME* frame, std::uint64_t step);
chfl_status chfl_frame_set_property(CHFL_FRAME* frame, const char* name, const CHFL_PROPERTY* property);
CHFL_PROPERTY* chfl_property_double(double value);
chfl_status chfl_frame_positions(CHFL_FRAME* frame, chfl_vector3d** positions, std::uint64_t* atoms);

CHFL_CELL* chfl_cell_from_frame(CHFL_FRAME* frame);
// Upper triangular: the box vectors are its columns.
chfl_status chfl_cell_matrix(const CHFL_CELL* cell, chfl_vector3d matrix[3]);

CHFL_TOPOLOGY* chfl_topology_from_frame(const CHFL_FRAME* frame);
chfl_status chfl_topology_atoms_count(const CHFL_TOPOLOGY* topology, std::uint64_t* count);
chfl_status chfl_topology_residues_count(const CHFL_TOPOLOGY* topology, std::uint64_t* count);

CHFL_RESIDUE* chfl_residue_from_topology(const CHFL_TOPOLOGY* topology, std::uint64_t index);
chfl_status chfl_residue_name(const CHFL_RESIDUE* residue, char* name, std::uint64_t size);
chfl_status chfl_residue_id(const CHFL_RESIDUE* residue, std::int64_t* id);
chfl_status chfl_residue_atoms_count(const CHFL_RESIDUE* residue, std::uint64_t* count);
chfl_status chfl_residue_atoms(const CHFL_RESIDUE* residue, std::uint64_t* atoms, std::uint64_t count);
CHFL_PROPERTY* chfl_residue_get_property(const CHFL_RESIDUE* residue, const char* name);
chfl_status chfl_property_get_string(const CHFL_PROPERTY* property, char* value, std::uint64_t size);

CHFL_ATOM* chfl_atom_from_topology(CHFL_TOPOLOGY* topology, std::uint64_t index);
chfl_status chfl_atom_name(const CHFL_ATOM* atom, char* name, std::uint64_t size);

}  // extern "C"
